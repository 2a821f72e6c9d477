"""What a runner says when it can't do what it was told."""

from typing import Any

import msgspec


class LoadFailed(msgspec.Struct, frozen=True, tag=True):
    """The runner could not load; `kind` and `fields` as in `swell.errors.to_data`. It exits after this."""

    kind: str
    fields: dict[str, Any]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Request `id` failed; `kind` and `fields` as in `swell.errors.to_data`."""

    id: int
    kind: str
    fields: dict[str, Any]
