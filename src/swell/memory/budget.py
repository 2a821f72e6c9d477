"""`SWELL_KV_BUDGET`: how much memory all KV caches together may take."""

import re
from dataclasses import dataclass
from fractions import Fraction

_TEXT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(%|[kmgt]?b?|[kmgt]ib?)", re.IGNORECASE | re.ASCII)
_UNIT_BYTES = {"": 1} | {
    prefix + suffix: base**power
    for power, prefix in enumerate("kmgt", start=1)
    for suffix, base in (("", 1000), ("i", 1024))
}
_BYTES_MAX = 2**63 - 1  # what the ledger's numbers hold


@dataclass(frozen=True)
class Budget:
    """Either a number of bytes or a part of the memory there is; exact, so that "33.3%" is the same everywhere."""

    amount: Fraction
    is_share: bool

    def limit_bytes(self, total_bytes: int) -> int:
        """The budget where there are `total_bytes` of memory. A number of bytes stands even if it is more than that."""
        return int(self.amount * total_bytes) if self.is_share else min(int(self.amount), _BYTES_MAX)


def parse_budget(text: str) -> Budget:
    """A budget from `8GB`, `8GiB`, `512M`, `1073741824` or `60%`, in any case; `G` is 10^9 and `Gi` is 2^30.

    Raises ValueError for anything else, for less than a byte, and for more than 100%.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}" is neither bytes, such as 8GB, 8GiB or 1073741824, nor a percentage, such as 60%')
    number, unit = Fraction(match[1]), match[2].lower()
    if unit == "%":
        if not 0 < number <= 100:
            raise ValueError(f'"{text}" is not more than 0% and at most 100%')
        return Budget(number / 100, is_share=True)
    amount = number * _UNIT_BYTES[unit.removesuffix("b")]
    if amount < 1:
        raise ValueError(f'"{text}" is less than one byte')
    return Budget(amount, is_share=False)
