"""Facts of a machine on which everything is well, to be changed by tests; and any facts at all."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from swell.devices import DeviceKind, DeviceMemory
from swell.doctor.facts import (
    Accelerator,
    Facts,
    FolderFacts,
    FolderState,
    HardwareFacts,
    LibraryFacts,
    LibraryFailure,
    MatrixUnits,
    MemoryFacts,
    ModelFacts,
    ModelFit,
    Overcommit,
    ProcessorFacts,
    ServerFacts,
    ServerState,
    Vendor,
)

GB = 10**9
MEMORY = MemoryFacts(
    machine_total_bytes=16 * GB,
    machine_available_bytes=12 * GB,
    total_bytes=16 * GB,
    free_bytes=12 * GB,
    groups=[],
    swap_total_bytes=0,
    swap_free_bytes=0,
    overcommit=Overcommit.HEURISTIC,
    commit_free_bytes=10 * GB,
    address_space_bytes=None,
    huge_pages="madvise",
)
LIBRARY = LibraryFacts(
    package="0.3.36",
    version="0.25.3 (0c1e570)",
    flags=["CPU : AVX2 = 1"],
    backends=["CPU"],
    devices=[],
    has_rpc=False,
    fuses_attention=True,
    matrix_units=MatrixUnits.ABSENT,
    reserved_refusal=None,
    threads_refusal=None,
)
CUDA = DeviceMemory(name="CUDA0", kind=DeviceKind.GPU, free_bytes=GB, total_bytes=GB)
MODEL = ModelFacts(
    name="tiny:latest",
    weights_bytes=GB,
    other_bytes=GB // 10,
    cell_bytes=20_000,
    window_tokens=8192,
    store="reserved",
    store_reason="",
    fits=[ModelFit(cache_type=kind, window_tokens=8192, device_layers=0) for kind in ("f16", "q8_0", "q4_0")],
)
WELL = Facts(
    swell="1.0",
    python="3.11",
    kernel="Linux",
    processors=ProcessorFacts(name="", logical=4, allowed=4, cores=2, quota=None, threads=2),
    memory=MEMORY,
    budget_bytes=None,
    headroom_bytes=GB // 4,
    hardware=HardwareFacts(accelerators=[], reachable=[], hidden_by=[]),
    library=LIBRARY,
    settings=[],
    unknown_settings=[],
    server=ServerFacts(url="http://127.0.0.1:11434", state=ServerState.FREE),
    folders=[FolderFacts(setting="OLLAMA_MODELS", path="/models", state=FolderState.GOOD, free_bytes=100 * GB)],
    models=[MODEL],
    asked_models=[],
    missing_models={},
    damaged_models={},
)


def well_but(**changes: Any) -> Facts:
    """WELL with other values."""
    return msgspec.structs.replace(WELL, **changes)


def nvidia(**changes: Any) -> HardwareFacts:
    """A machine with a card that its driver makes reachable, with other values."""
    card = Accelerator(address="0000:01:00.0", vendor=Vendor.NVIDIA, driver="nvidia")
    return msgspec.structs.replace(
        HardwareFacts(accelerators=[card], reachable=[Vendor.NVIDIA], hidden_by=[]), **changes
    )


BYTES = st.integers(0, 10**13)
NAMES = st.text(max_size=5)
_LIBRARIES = st.builds(
    LibraryFacts,
    devices=st.lists(
        st.builds(DeviceMemory, kind=st.sampled_from(DeviceKind), name=NAMES, free_bytes=BYTES, total_bytes=BYTES),
        max_size=1,
    ),
    backends=st.lists(st.sampled_from(["CPU", "CUDA", "ROCm", "Vulkan", "SYCL", "RPC"]), max_size=3),
)
_MODELS = st.builds(
    ModelFacts,
    name=st.sampled_from("ab"),
    cell_bytes=BYTES,
    fits=st.tuples(*[st.builds(ModelFit, cache_type=st.just(kind)) for kind in ("f16", "q8_0", "q4_0")]).map(list),
)
ANY = st.builds(
    Facts,
    memory=st.builds(MemoryFacts, groups=st.just([])),
    hardware=st.builds(
        HardwareFacts,
        accelerators=st.lists(st.builds(Accelerator), max_size=3),
        reachable=st.lists(st.sampled_from(Vendor), max_size=2),
        hidden_by=st.lists(NAMES, max_size=1),
    ),
    library=_LIBRARIES | st.builds(LibraryFailure),
    models=st.lists(_MODELS, max_size=2),
    asked_models=st.lists(st.sampled_from("ab"), max_size=2),
    missing_models=st.dictionaries(NAMES, NAMES, max_size=2),
    damaged_models=st.dictionaries(NAMES, NAMES, max_size=2),
)
"""Facts of the right types, whether or not they make sense together."""
