"""The ways to hold a KV cache."""

from enum import Enum


class StoreKind(Enum):
    """`RESERVED`: addresses at load, memory as cells are written. `EAGER`: all memory at load."""

    RESERVED = "reserved"
    EAGER = "eager"
