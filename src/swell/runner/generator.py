"""The backend of models that generate text: the engine over its store."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from swell.errors import NoEmbeddingsError, to_data
from swell.kv.base import KvStore
from swell.kv.choose import Chosen
from swell.llama.model import LlamaModel
from swell.processors.governor import Governor
from swell.protocol.messages import CacheCount, Embed, Failed, Load, Loaded, Prefixes, Reply, Stats
from swell.runner.backend import Work
from swell.runner.engine import Engine, EngineLimits
from swell.runner.handover import restore
from swell.runner.slot_prefixes import SlotPrefixes
from swell.runner.stats import device_uses, read_stats

if TYPE_CHECKING:
    from swell.runner.prefix_cache import PrefixCache

log = logging.getLogger(__name__)


class Generator:
    """Continues prompts; answers Embed with an error."""

    def __init__(
        self, model: LlamaModel, chosen: Chosen, governor: Governor, load: Load, deliver: Callable[[Reply], None]
    ) -> None:
        """`deliver` is called from any thread."""
        self._model = model
        self._chosen = chosen
        self._governor = governor
        self._deliver = deliver
        self._prefixes = _open_prefixes(load, chosen.store) if load.prefix_cache else None
        self._engine = Engine(
            chosen.store,
            governor,
            EngineLimits(
                batch_tokens=load.batch_tokens,
                checkpoints=load.checkpoints,
                idle_shrink_s=load.idle_shrink_s,
                memory_wait_s=load.memory_wait_s,
            ),
            deliver=deliver,
            reply=deliver,
            prefixes=self._prefixes,
        )
        self._slot_prefixes = SlotPrefixes()
        if load.handover:
            tokens = restore(Path(load.handover), chosen.store, self._engine.slots)
            log.info("took over %d tokens from the last runner", tokens)

    def submit(self, work: Work) -> None:
        if isinstance(work, Embed):
            self._deliver(Failed(work.id, *to_data(NoEmbeddingsError("the model"))))
        else:
            self._engine.submit(work)

    def run(self) -> None:
        self._engine.run()

    def describe(self) -> Loaded:
        vocabulary, store = self._model.vocabulary, self._chosen.store
        return Loaded(
            context_max=store.policy.max_cells,
            slots=store.context.slots,
            store=store.kind,
            store_reason=self._chosen.reason,
            add_bos=vocabulary.add_bos,
            add_eos=vocabulary.add_eos,
            bos_text=vocabulary.text(vocabulary.bos),
            eos_text=vocabulary.text(vocabulary.eos),
            has_prefix_cache=self._prefixes is not None,
            middle_tokens=vocabulary.middle_tokens,
            is_on_devices=self._model.is_on_devices,
            devices=device_uses(self._model, store.context.device_bytes, store.measure().devices),
        )

    def batches(self) -> int | None:
        return self._engine.counters.batches if self._engine.is_computing else None

    def stats(self, request_id: int, count: CacheCount = CacheCount.PAGES) -> Stats:
        return read_stats(request_id, self._model, self._chosen, self._engine, self._governor.use, count)

    def prefixes(self, request_id: int) -> Prefixes:
        return self._slot_prefixes.read(request_id, self._engine.slots)


def _open_prefixes(load: Load, store: KvStore) -> "PrefixCache":
    """The conversations in files that this library can load into `store`."""
    # what this imports takes 5 MB, which a runner without such a cache need not have
    from importlib.metadata import version

    from swell.runner.prefix_cache import PrefixCache

    kind = [
        load.model,
        load.cache_type,
        load.flash_attention,
        store.kind,
        store.context.slots,
        version("llama-cpp-python"),
    ]
    return PrefixCache(Path(load.prefix_cache), load.prefix_cache_bytes, " ".join(map(str, kind)), store)
