"""Finds out everything, and says what follows from it."""

import asyncio
import platform
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

import msgspec

from swell.cache import CacheType
from swell.devices import DeviceMemory
from swell.doctor.facts import (
    Facts,
    LibraryFacts,
    LibraryFailure,
    ModelFacts,
    ModelFit,
    ServerFacts,
    ServerState,
    SettingFacts,
    UnknownSetting,
)
from swell.doctor.findings import findings
from swell.doctor.fits import Room, longest_window
from swell.doctor.library import library_facts
from swell.doctor.machine import hardware_facts, memory_facts, processor_facts
from swell.doctor.places import folder_facts
from swell.doctor.verdicts import Finding, Severity
from swell.errors import SwellError
from swell.kv.preference import preferred_store
from swell.memory.resident import process_resident
from swell.models.catalog import Survey, whole_catalog
from swell.models.model import Model
from swell.scheduler.accounts import HEADROOM_MIN_BYTES
from swell.scheduler.cells import cell_bytes, context_max
from swell.scheduler.first_grant import first_grant
from swell.scheduler.load_message import estimated_memory
from swell.scheduler.load_options import LoadOptions
from swell.settings import Settings, given_settings, setting_names
from swell.store.store import Store
from swell.version import __version__

SERVER_BYTES = 40 << 20
"""What a server takes beside its runners (measured: 36 MB, with the first conversation 38). It counts unless one runs,
while this process, which ends, does not.
"""
_NO_STORE = "models for embeddings keep no cache"


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out and what follows from it: what `swell doctor --json` prints."""

    works: bool
    findings: list[Finding]
    facts: Facts


def examine(models: Sequence[str], environment: Mapping[str, str], server: ServerFacts) -> Examination:
    """Examine this machine, for `models` or all there are; `server` is what is at the server's address.

    Takes about a second. Starts a process that loads llama.cpp, and changes nothing.
    """
    given = list(given_settings(environment))
    settings = Settings.from_given(given)
    memory, own_bytes = memory_facts(), process_resident().own_bytes
    library = asyncio.run(library_facts())
    budget = settings.kv_budget.limit_bytes(memory.total_bytes) if settings.kv_budget else None
    headroom = max(settings.kv_headroom.limit_bytes(memory.total_bytes), HEADROOM_MIN_BYTES)
    chosen, missing, damaged = _models(models, settings)
    has_server = server.state is ServerState.SWELL
    room = Room(
        host_bytes=memory.free_bytes + own_bytes - (0 if has_server else SERVER_BYTES) - headroom,
        budget_bytes=budget,
        devices=[settings.device_limits.limited(device) for device in _devices(library)],
        device_headroom_bytes=settings.gpu_overhead_bytes,
    )
    facts = Facts(
        swell=__version__,
        python=platform.python_version(),
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        processors=processor_facts(),
        memory=memory,
        budget_bytes=budget,
        headroom_bytes=headroom,
        hardware=hardware_facts(environment),
        library=library,
        settings=[
            SettingFacts(name=each.name, text=each.text, default=each.default, fault=each.fault) for each in given
        ],
        unknown_settings=list(_unknown(environment)),
        server=server,
        folders=list(folder_facts(settings)),
        models=[_model_facts(model, room, library, settings) for model in chosen],
        asked_models=[model.name for model in chosen] if models else [],
        missing_models=missing,
        damaged_models=damaged,
    )
    found = findings(facts, settings)
    return Examination(
        works=not any(finding.severity is Severity.PROBLEM for finding in found), findings=found, facts=facts
    )


def _models(names: Sequence[str], settings: Settings) -> tuple[list[Model], dict[str, str], dict[str, str]]:
    """The models of these names, or all; of others why they can't be run, and of all that are damaged."""
    catalog = whole_catalog(Store(settings.store_dir), settings.models_dir, settings.template_preference)
    found: dict[str, Model] = {}
    missing: dict[str, str] = {}
    survey = Survey([], {}) if names else catalog.survey()
    for name in names or [summary.name for summary in survey.models]:
        try:
            model = catalog.find(name, allow_path=True)
        except SwellError as error:
            missing[name] = str(error)
        else:
            found[model.name] = model
    return list(found.values()), missing, survey.damaged


def _model_facts(model: Model, room: Room, library: LibraryFacts | LibraryFailure, settings: Settings) -> ModelFacts:
    fits = {kind: longest_window(model, kind, room, settings) for kind in CacheType}
    refusal = library.reserved_refusal if isinstance(library, LibraryFacts) else "llama.cpp can't be used"
    preferred = preferred_store(
        settings.store_kind,
        is_on_devices=fits[settings.kv_cache_type or CacheType.F16].is_cache_on_devices,
        reserved_refusal=refusal,
    )
    taken = estimated_memory(model, LoadOptions(), settings, first_grant(model, settings))
    return ModelFacts(
        name=model.name,
        weights_bytes=taken.weights_bytes,
        other_bytes=taken.other_bytes,
        cell_bytes=0 if model.weights.embeds else cell_bytes(model, CacheType.F16),
        window_tokens=settings.context_ceiling(context_max(model)),
        store=None if model.weights.embeds else preferred.kind.value,
        store_reason=_NO_STORE if model.weights.embeds else preferred.reason,
        fits=[
            ModelFit(cache_type=kind.value, window_tokens=fit.window_tokens, device_layers=fit.device_layers)
            for kind, fit in fits.items()
        ],
    )


def _devices(library: LibraryFacts | LibraryFailure) -> list[DeviceMemory]:
    return library.devices if isinstance(library, LibraryFacts) else []


def _unknown(environment: Mapping[str, str]) -> Iterator[UnknownSetting]:
    """Variables that are named as settings are. Ollama's own that Swell doesn't have are among them."""
    names = setting_names()
    for name in sorted(environment):
        if name.startswith(("SWELL_", "OLLAMA_")) and name not in names:
            yield UnknownSetting(name=name, nearest=next(iter(get_close_matches(name, names, 1, 0.8)), ""))
