"""Words for KV caches that the settings, the protocol and the stores share."""

from enum import Enum

INITIAL_TOKENS = 2048
"""Granted to each slot at load where nothing else is said or learned."""


class StoreKind(Enum):
    """The ways to hold a KV cache."""

    RESERVED = "reserved"  # addresses at load, memory as cells are written
    PLACED = "placed"  # on devices copied into larger buffers when it grows; reserved in host memory
    COPIED = "copied"  # as large as it must be, moved into a larger one when it grows
    EAGER = "eager"  # all memory at load


class CacheType(Enum):
    """Numbers that K and V are stored as."""

    F16 = "f16"
    Q8_0 = "q8_0"
    Q4_0 = "q4_0"

    @property
    def element_bytes(self) -> float:
        """Bytes per number; quantised ones share a scale in blocks of 32."""
        return {CacheType.F16: 2.0, CacheType.Q8_0: 34 / 32, CacheType.Q4_0: 18 / 32}[self]


class FlashAttention(Enum):
    """Whether attention is fused. Without it V is stored transposed, so that memory follows the cells less closely."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"
