"""Admission with a limit that a test may change."""

import dataclasses
from collections.abc import Mapping

from swell.kv.admission import NOWHERE, Refusal

FOREVER_S = 1000.0


@dataclasses.dataclass
class LimitedAdmission:
    """Grants up to `limit_bytes`; remembers the most that was granted, and noted as written."""

    limit_bytes: int = 1 << 40
    granted_bytes: int = 0
    noted_bytes: int = 0
    most_granted_bytes: int = 0
    most_noted_bytes: int = 0

    def spare_bytes(self) -> int:
        return max(0, self.limit_bytes - self.granted_bytes)

    def claim(self, additional_bytes: int, device_bytes: Mapping[str, int] = NOWHERE) -> Refusal | None:
        if additional_bytes > self.spare_bytes():
            return Refusal(self.spare_bytes())
        self.granted_bytes += additional_bytes
        self.most_granted_bytes = max(self.most_granted_bytes, self.granted_bytes)
        return None

    def release(self, released_bytes: int, device_bytes: Mapping[str, int] = NOWHERE) -> None:
        self.granted_bytes -= released_bytes

    def note(self, backed_bytes: int, scratch_bytes: int) -> None:
        self.noted_bytes = backed_bytes
        self.most_noted_bytes = max(self.most_noted_bytes, backed_bytes)
