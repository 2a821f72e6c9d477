"""Text made safe for other languages."""

import re
import urllib.parse

from swell.gotemplate.values import to_bytes

_HTML = str.maketrans({'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"})
_IN_JAVASCRIPT = re.compile("[\\\\'\"<>&=\x00-\x1f\x80-\U0010ffff]")


def html(text: str) -> str:
    """`text` for HTML."""
    return text.translate(_HTML)


def javascript(text: str) -> str:
    """`text` for a string in JavaScript."""
    return _IN_JAVASCRIPT.sub(_javascript_escape, text)


def _javascript_escape(found: re.Match[str]) -> str:
    letter = found[0]
    if letter in "\\'\"":
        return f"\\{letter}"
    if "\udc80" <= letter <= "\udcff":
        return "\\uFFFD"
    return letter if letter >= "\x80" and letter.isprintable() else f"\\u{ord(letter):04X}"


def query(text: str) -> str:
    """`text` for the query of a URL."""
    return urllib.parse.quote_plus(to_bytes(text), safe="~")
