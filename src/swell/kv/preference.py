"""Which store a cache should have: the decision alone, for who would know it without llama.cpp."""

from typing import NamedTuple

from swell.cache import StoreKind


class Preference(NamedTuple):
    """The best kind of store that works, and the reason for it in words for people."""

    kind: StoreKind
    reason: str


def preferred_store(asked: StoreKind | None, *, is_on_devices: bool, reserved_refusal: str | None) -> Preference:
    """Reserved where nothing speaks against it, or Placed for what lies on devices, else Copied; Eager if it is `asked`
    for.

    `is_on_devices`: whether any of the cache lies on devices; `reserved_refusal` is what the self-check said.
    """
    if asked is StoreKind.EAGER:
        return Preference(StoreKind.EAGER, "the cache is not to be elastic (OLLAMA_KV_CACHE_DYNAMIC=0)")
    if asked is StoreKind.COPIED:
        return Preference(StoreKind.COPIED, "it was asked for (SWELL_KV_STORE)")
    if reserved_refusal is not None:
        return Preference(StoreKind.COPIED, reserved_refusal)
    if is_on_devices:
        return Preference(StoreKind.PLACED, "devices copy their part of the cache; host memory is reserved")
    return Preference(StoreKind.RESERVED, "address space is reserved, memory follows the cells")
