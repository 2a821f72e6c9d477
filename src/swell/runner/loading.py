"""From a `Load` message to a model with the backend of its kind."""

import dataclasses
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from swell.errors import DeviceLimitError
from swell.kv.admission import Admission
from swell.kv.choose import Chosen, StoreOptions, open_store
from swell.kv.memory_admission import MemoryAdmission
from swell.kv.placed import AdmissionLimits, DeviceAdmission
from swell.kv.policy import GrowthPolicy, default_slots, most_cells
from swell.llama import processor
from swell.llama.context import ContextShape
from swell.llama.devices import Device
from swell.llama.model import LlamaModel
from swell.memory.device_ledger import DeviceLedger
from swell.memory.ledger import Ledger
from swell.memory.probe import MemoryProbe
from swell.processors.allowance import Allowance
from swell.processors.governor import Governor
from swell.processors.readings import KernelReadings
from swell.processors.shares import Demands
from swell.protocol.messages import Load, LoadProgress, Reply
from swell.runner.backend import Backend
from swell.runner.embedder import Embedder, EmbedderMemory
from swell.runner.generator import Generator

log = logging.getLogger(__name__)

PROGRESS_S = 1.0


def load_model(
    load: Load, devices: Sequence[Device], reserved_refusal: str | None, deliver: Callable[[Reply], None]
) -> tuple[LlamaModel, Backend]:
    """Load weights and adapters, and for a model that generates text open the store. Raises LlamaError,
    DeviceLimitError or NoEmbeddingsError.

    `devices` are those that the placement may name. `deliver` may be called from any thread.
    """
    on_progress = _now_and_then(deliver)
    governed = _governed(load, devices, reserved_refusal)
    model = LlamaModel(
        Path(load.path), load.placement, governed, maps_weights=load.maps_weights, on_progress=on_progress
    )
    for path in load.adapters:
        model.add_adapter(Path(path))
    governor, ledger = _governor(load), Ledger.open(load.ledger_fd)
    if load.books_weights:
        ledger.note_mapped(load.ledger_entry, model.mapped_bytes)
    if model.metadata(f"{model.metadata('general.architecture')}.pooling_type") is not None:
        memory = EmbedderMemory(
            admission=_host_admission(load, ledger), reserves=reserved_refusal is None, wait_s=load.memory_wait_s
        )
        return model, Embedder(model, governor, memory, deliver)
    chosen = _open_store(load, model, _admission(load, model, ledger), governor.use.now, reserved_refusal)
    return model, Generator(model, chosen, governor, load, deliver)


def _governed(load: Load, devices: Sequence[Device], reserved_refusal: str | None) -> list[Device]:
    """The devices of the placement, whose buffers are counted from now on, if this library allows that.

    Raises DeviceLimitError for a limit that can't be kept.
    """
    ledger, placed = DeviceLedger.open(load.devices_fd), {share.device for share in load.placement.shares}
    governed = []
    for device in devices:
        if device.name in placed:
            account = ledger.account(device.name, load.ledger_entry)
            if reserved_refusal is None:
                governed.append(device.governed(account))
            elif account.limit_bytes is None:
                governed.append(device)
            else:
                raise DeviceLimitError(device.name, reserved_refusal)
    return governed


def _now_and_then(deliver: Callable[[Reply], None]) -> Callable[[], None]:
    """A function that tells the server that loading goes on, at most every PROGRESS_S seconds.

    llama.cpp calls it for each tensor.
    """
    last_s = -math.inf

    def advance() -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= PROGRESS_S:
            last_s = time.monotonic()
            deliver(LoadProgress())

    return advance


def _open_store(
    load: Load, model: LlamaModel, admission: Admission, threads: int, reserved_refusal: str | None
) -> Chosen:
    trained = most_cells(model.trained_tokens, model.weights_bytes)
    elastic = ContextShape(
        cells=trained,
        slots=load.slots or default_slots(trained),
        batch_tokens=load.batch_tokens,
        threads=threads,
        cache_type=load.cache_type,
        flash_attention=load.flash_attention,
    )
    options = StoreOptions(
        kind=load.store,
        elastic=elastic,
        eager=dataclasses.replace(elastic, cells=min(load.eager_tokens or trained, trained), slots=load.slots or 1),
        policy=GrowthPolicy(initial_cells=load.initial_tokens, block_cells=load.grow_tokens, max_cells=trained),
        reserved_refusal=reserved_refusal,
    )
    chosen = open_store(model, options, admission)
    log.info("%s: %s KV cache: %s", load.path, chosen.store.kind.value, chosen.reason)
    return chosen


def _governor(load: Load) -> Governor:
    """A governor; of a fixed number of threads where texts would depend on it."""
    exact = None
    if (refusal := processor.refusal()) is not None:
        log.warning("the number of threads can follow neither the machine nor num_thread: %s", refusal)
        exact = Allowance().threads()
    readings = KernelReadings(ignored=os.getpid())  # the event loop's thread
    return Governor(Demands(load.demands_fd), load.ledger_entry, exact=exact, readings=readings)


def _admission(load: Load, model: LlamaModel, ledger: Ledger) -> Admission:
    if load.placement.kv_shares(model.layers):
        return DeviceAdmission(
            *(ledger, load.ledger_entry, MemoryProbe()),
            devices=model.measure_devices,
            limits=AdmissionLimits(
                budget_bytes=load.budget_bytes,
                headroom_bytes=load.headroom_bytes,
                device_headroom_bytes=load.device_headroom_bytes,
            ),
        )
    return _host_admission(load, ledger)


def _host_admission(load: Load, ledger: Ledger) -> Admission:
    return MemoryAdmission(
        *(ledger, load.ledger_entry, MemoryProbe()),
        budget_bytes=load.budget_bytes,
        headroom_bytes=load.headroom_bytes,
    )
