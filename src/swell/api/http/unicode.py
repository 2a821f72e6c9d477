"""JSON that is no Unicode, as Go's decoder reads it: what stands for no character becomes U+FFFD.

Clients cut texts in the middle of an emoji, which leaves half of a surrogate pair, or send another encoding.
"""

import re

_UNDECODED = re.compile("[\udc80-\udcff]")
_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_SURROGATE = r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_UP_TO_HALF = re.compile(rf"((?:[^\\]++|{_PAIR}|(?!{_SURROGATE})\\.?+)*+)({_SURROGATE})?", re.DOTALL)
"""Matches everywhere, so that no part of a text is looked at twice."""


def decoded(data: bytes) -> str:
    """`data` as text; each byte that isn't UTF-8 is one U+FFFD."""
    return _UNDECODED.sub("\ufffd", data.decode("utf-8", "surrogateescape"))


def with_whole_pairs(json: str) -> str:
    """`json` with U+FFFD for every escape that is half of a surrogate pair without the other half."""
    return _UP_TO_HALF.sub(lambda found: found[1] + "\ufffd" if found[2] else found[1], json)
