"""What measurements are asked for and what they answer, as JSON between processes and in the result file.

Times are seconds, memory is bytes, depths and counts are tokens.
"""

from enum import Enum

import msgspec

from swell.bench.footprint import Footprint
from swell.cache import StoreKind


class Stage(Enum):
    """What was done last to the slots when memory was measured."""

    GROWN = "grown"
    RELEASED = "half of the slots released"
    SHRUNK = "the others cut to a quarter"


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """A store to open. `window_tokens` is what each slot may reach; the grants are the growth policy's."""

    model: str
    kind: StoreKind
    slots: int
    window_tokens: int
    threads: int
    initial_tokens: int
    block_tokens: int


class WasteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Fill all slots to each of `token_counts`, ascending, then shrink. Without any, only creation is measured."""

    setup: Setup
    token_counts: list[int]


class PeerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The same for llama.cpp's server."""

    model: str
    slots: int
    window_tokens: int
    threads: int
    token_counts: list[int]


class MemoryStage(msgspec.Struct, frozen=True, kw_only=True):
    """Memory after one stage. `tokens` is the count per slot asked for, `used_tokens` what all slots hold together.

    `kv_resident_bytes` is None where only the process as a whole can be measured. `duration_s` is how long it took to
    get there.
    """

    stage: Stage
    tokens: int
    used_tokens: int
    duration_s: float
    process: Footprint
    kv_resident_bytes: int | None = None
    kv_granted_bytes: int | None = None


class WasteResult(msgspec.Struct, frozen=True, kw_only=True):
    """`before` is the process just before the cache was created; for the peer, before it had loaded anything.

    `cell_bytes` is what a token takes, 0 where that wasn't asked.
    """

    creation_s: float
    cell_bytes: int
    before: Footprint
    created: Footprint
    created_kv_resident_bytes: int | None
    stages: list[MemoryStage]


class GrowthRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Decode single tokens until there were `growths`, read up to `deep_tokens`, then grow without decoding."""

    setup: Setup
    growths: int
    deep_tokens: int


class BenchStep(msgspec.Struct, frozen=True, array_like=True):
    """One step of decoding a single token at `depth`; `ensure_s` of it went into asking for its cell.

    `ensure_processor_s` of that this thread was really running.
    """

    depth: int
    duration_s: float
    ensure_s: float
    ensure_processor_s: float
    has_grown: bool
    has_moved: bool


class Growth(msgspec.Struct, frozen=True, array_like=True):
    """One growth by itself, while `depth` tokens were stored; moved: all of them were copied."""

    depth: int
    ensure_s: float
    processor_s: float
    has_moved: bool


class GrowthResult(msgspec.Struct, frozen=True, kw_only=True):
    """`steps` are single tokens, `reading` the growths while batches were read, `bare` those with no work between."""

    steps: list[BenchStep]
    reading: list[Growth]
    bare: list[Growth]


class SpeedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Compare Reserved and Eager at `shallow_tokens`, before Reserved has grown, and at `deep_tokens`, after."""

    setup: Setup
    shallow_tokens: int
    deep_tokens: int
    steps: int
    repetitions: int


class BenchRun(msgspec.Struct, frozen=True, array_like=True):
    """`steps` single tokens from `depth` on took `duration_s`."""

    kind: StoreKind
    depth: int
    growths: int
    duration_s: float


class SpeedResult(msgspec.Struct, frozen=True, kw_only=True):
    """Runs in the order they were made; one of each kind follows one of the other."""

    steps: int
    runs: list[BenchRun]


class TurnsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a conversation of `turns` turns that begins with `prompt_tokens`; see `swell.bench.dialogue`."""

    model: str
    threads: int
    prompt_tokens: int
    turns: int


class TurnsResult(msgspec.Struct, frozen=True, kw_only=True):
    """How long each turn's first token took."""

    first_token_s: list[float]
