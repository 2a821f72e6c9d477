"""Whether a loaded runner can serve a request: the one comparison that decides about a reload.

Only what a runner can't change once it is loaded takes part. `num_ctx`, `num_batch`, `num_thread`, sampling and `shift`
don't: they belong to the request, and no value of theirs ever loads anything, or stays for those who didn't ask for it.
"""

import dataclasses

from swell.cache import CacheType
from swell.devices import Fill
from swell.models.model import Model
from swell.options import Options
from swell.settings import Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a model is loaded. In what a request asks for, None is "whatever there is": a request that asks for nothing
    takes any runner, however that was loaded, and never makes two ways of loading take turns.
    """

    maps_weights: bool | None = None
    device_layers: int | None = None
    main_device: int | None = None
    cache_type: CacheType | None = None
    fill: Fill | None = None

    def is_met_by(self, loaded: "LoadOptions") -> bool:
        """Whether a runner loaded as `loaded` is what this asks for."""
        return all(
            wanted is None or wanted == getattr(loaded, name) for name, wanted in dataclasses.asdict(self).items()
        )

    def completed(self, chosen: "LoadOptions") -> "LoadOptions":
        """This, and what is `chosen` where it leaves the choice."""
        asked = {name: wanted for name, wanted in dataclasses.asdict(self).items() if wanted is not None}
        return dataclasses.replace(chosen, **asked)


def requested_load_options(options: Options, model: Model, devices: int) -> LoadOptions:
    """What `options` ask for, as far as it makes a difference to `model` on `devices` devices beside the CPU.

    Layers beyond the last one (`num_gpu` 999 is usual for "all") are the same as all.
    """
    layers = model.layers + 1  # the output counts as one
    return LoadOptions(
        maps_weights=options.use_mmap,
        device_layers=min(options.num_gpu, layers) if devices and options.num_gpu >= 0 else None,
        main_device=max(options.main_gpu, 0) if devices and options.main_gpu is not None else None,
        fill=_FILLS[options.sched_spread] if devices else None,
    )


def complete_load_options(requested: LoadOptions, settings: Settings) -> LoadOptions:
    """How to load what is `requested`; what is still None then depends on the devices that are found."""
    chosen = LoadOptions(maps_weights=True, cache_type=settings.kv_cache_type or CacheType.F16)
    return requested.completed(chosen)


_FILLS = {None: None, True: Fill.SPREAD, False: Fill.PACKED}
