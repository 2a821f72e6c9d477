"""From a `Load` message to a model with the worker of its kind."""

import dataclasses
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from swell.kv.admission import Admission
from swell.kv.choose import Chosen, StoreOptions, open_store
from swell.kv.memory_admission import MemoryAdmission
from swell.kv.placed import AdmissionLimits, DeviceAdmission
from swell.kv.policy import GrowthPolicy, default_slots, most_cells
from swell.llama import processor
from swell.llama.context import ContextShape
from swell.llama.devices import Device
from swell.llama.model import LlamaModel
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


def load(
    order: Load, devices: Sequence[Device], reserved_refusal: str | None, deliver: Callable[[Reply], None]
) -> tuple[LlamaModel, Backend]:
    """Load the weights, and for a model that writes open the store; raises LlamaError or NoEmbeddingsError.

    `devices` are those the placement may name.
    """
    on_progress = _now_and_then(deliver)
    model = LlamaModel(
        Path(order.path), order.placement, devices, maps_weights=order.maps_weights, on_progress=on_progress
    )
    governor, ledger = _governor(order), Ledger.open(order.ledger_fd)
    if order.books_weights:
        ledger.note_mapped(order.ledger_entry, model.mapped_bytes)
    if model.metadata(f"{model.metadata('general.architecture')}.pooling_type") is not None:
        memory = EmbedderMemory(
            admission=_host_admission(order, ledger), reserves=reserved_refusal is None, wait_s=order.memory_wait_s
        )
        return model, Embedder(model, governor, memory, deliver)
    chosen = _open_store(order, model, _admission(order, model, ledger), governor.use.now, reserved_refusal)
    return model, Generator(model, chosen, governor, order, deliver)


def _now_and_then(deliver: Callable[[Reply], None]) -> Callable[[], None]:
    """Tells the server that loading goes on, at most every PROGRESS_S; llama.cpp says so for every tensor."""
    last_s = -math.inf

    def advance() -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= PROGRESS_S:
            last_s = time.monotonic()
            deliver(LoadProgress())

    return advance


def _open_store(
    order: Load, model: LlamaModel, admission: Admission, threads: int, reserved_refusal: str | None
) -> Chosen:
    trained = most_cells(model.trained_tokens, model.weights_bytes)
    elastic = ContextShape(
        cells=trained,
        slots=order.slots or default_slots(trained),
        batch_tokens=order.batch_tokens,
        threads=threads,
        cache_type=order.cache_type,
        flash_attention=order.flash_attention,
    )
    options = StoreOptions(
        kind=order.store,
        elastic=elastic,
        eager=dataclasses.replace(elastic, cells=min(order.eager_tokens or trained, trained), slots=order.slots or 1),
        policy=GrowthPolicy(initial_cells=order.initial_tokens, block_cells=order.grow_tokens, max_cells=trained),
        reserved_refusal=reserved_refusal,
    )
    chosen = open_store(model, options, admission)
    log.info("%s: %s KV cache: %s", order.path, chosen.store.kind.value, chosen.reason)
    return chosen


def _governor(order: Load) -> Governor:
    """Where texts would depend on the number of threads, it stays as it is."""
    exact = None
    if (refusal := processor.refusal()) is not None:
        log.warning("the number of threads can follow neither the machine nor num_thread: %s", refusal)
        exact = Allowance().threads()
    readings = KernelReadings(ignored=os.getpid())  # the event loop's thread
    return Governor(Demands(order.demands_fd), order.ledger_entry, exact=exact, readings=readings)


def _admission(order: Load, model: LlamaModel, ledger: Ledger) -> Admission:
    if shares := order.placement.kv_shares(model.layers):
        return DeviceAdmission(
            *(ledger, order.ledger_entry, MemoryProbe()),
            devices=model.measure_devices,
            shares=shares,
            limits=AdmissionLimits(
                budget_bytes=order.budget_bytes,
                headroom_bytes=order.headroom_bytes,
                device_headroom_bytes=order.device_headroom_bytes,
            ),
        )
    return _host_admission(order, ledger)


def _host_admission(order: Load, ledger: Ledger) -> Admission:
    return MemoryAdmission(
        *(ledger, order.ledger_entry, MemoryProbe()),
        budget_bytes=order.budget_bytes,
        headroom_bytes=order.headroom_bytes,
    )
