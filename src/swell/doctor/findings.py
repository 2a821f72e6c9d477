"""What follows from the facts: what can't work, what could be better, and what would help. Pure."""

import signal
from collections.abc import Iterator

from swell.cache import CacheType
from swell.doctor.facts import (
    Facts,
    FolderFacts,
    FolderState,
    HardwareFacts,
    LibraryFacts,
    LibraryFailure,
    MatrixUnits,
    ModelFacts,
    Overcommit,
    ServerState,
    Vendor,
)
from swell.doctor.verdicts import Finding, problem, remark
from swell.settings import Settings

_BACKENDS = {
    Vendor.NVIDIA: {"CUDA": "-DGGML_CUDA=on", "Vulkan": "-DGGML_VULKAN=on"},
    Vendor.AMD: {"ROCm": "-DGGML_HIP=on", "Vulkan": "-DGGML_VULKAN=on"},
    Vendor.INTEL: {"SYCL": "-DGGML_SYCL=on", "Vulkan": "-DGGML_VULKAN=on"},
}
"""llama.cpp's backends for a maker's devices, under its names, and the option each is compiled in by."""
_REQUIREMENT = "'llama-cpp-python>=0.3.36,<0.4'"
_REBUILD = f"pip install --no-cache-dir --force-reinstall --no-deps --no-binary llama-cpp-python {_REQUIREMENT}"
_DISK_MIN_BYTES = 2 * 10**9
"""Less than most models take."""


def findings(facts: Facts, settings: Settings) -> list[Finding]:
    """Everything worth saying, what can't work first."""
    found = [
        *_settings(facts),
        *_server(facts),
        *_library(facts, settings),
        *_memory(facts),
        *_processors(facts),
        *device_findings(facts.hardware, facts.library),
        *(finding for folder in facts.folders for finding in _folder(folder)),
        *_models(facts, settings),
    ]
    return sorted(found, key=lambda finding: finding.severity.value)  # stable, and "problem" is before "remark"


def _settings(facts: Facts) -> Iterator[Finding]:
    for setting in facts.settings:
        if setting.fault:
            yield problem(
                "setting",
                f"{setting.name}={setting.text} can't be used: {setting.fault}",
                f"{setting.default or 'nothing'} counts instead; correct it, or unset it",
            )
    for unknown in facts.unknown_settings:
        likely = f"{unknown.nearest} may be meant" if unknown.nearest else "docs/settings.md lists all there are"
        yield remark("setting", f"{unknown.name} is no setting of Swell's, and does nothing", likely)


def _server(facts: Facts) -> Iterator[Finding]:
    server, elsewhere = facts.server, "or choose another address: OLLAMA_HOST=127.0.0.1:11435"
    match server.state:
        case ServerState.SWELL if server.version != facts.swell:
            text = f"the server at {server.url} is Swell {server.version}, this program {facts.swell}"
            yield remark("server", text, "start it anew")
        case ServerState.OTHER:
            version = f" (version {server.version})" if server.version else ""
            yield problem("server", f"another program answers at {server.url}{version}", f"stop it, {elsewhere}")
        case ServerState.SILENT:
            yield problem(
                "server", f"{server.url} is in use, but nobody answers there", f"stop what it is, {elsewhere}"
            )
        case ServerState.FORBIDDEN:
            help = "ports below 1024 are for root; take a larger one: OLLAMA_HOST=127.0.0.1:11434"
            yield problem("server", f"this user may not listen at {server.url}", help)
        case ServerState.ELSEWHERE:
            help = "start the server there, or correct OLLAMA_HOST"
            yield problem("server", f"nobody answers at {server.url}, which is no address of this machine", help)


def _library(facts: Facts, settings: Settings) -> Iterator[Finding]:
    library = facts.library
    if isinstance(library, LibraryFailure):
        yield _failure(library)
        return
    if library.reserved_refusal is not None:
        text = f"the Reserved store doesn't work here: {library.reserved_refusal}"
        yield remark("reserved", text, _reserved_help(facts))
    if library.matrix_units is MatrixUnits.BROKEN:
        text = "this processor's matrix units (AMX) are not used: llama.cpp was compiled wrongly for them"
        yield remark("amx", text, "compile it with another compiler or without AMX, as docs/dependencies.md shows")
    if library.threads_refusal is not None:
        text = f"the number of threads can't follow the machine: {library.threads_refusal}"
        yield remark("threads", text, "install a version of llama-cpp-python that Swell knows, from 0.3.36 on")
    if settings.workers and not library.has_rpc:
        text = "SWELL_WORKERS is set, but llama.cpp was built without RPC"
        yield problem("workers", text, "build it as docs/workers.md shows, or unset SWELL_WORKERS")
    yield from _attention(library, settings)


def _failure(failure: LibraryFailure) -> Finding:
    if failure.exit_code == -signal.SIGILL:
        text = "llama.cpp was compiled for another processor than this machine's"
        return problem("llama.cpp", text, f"compile it here: {_REBUILD}")
    text = f"llama.cpp can't be used: {failure.reason or f'exit code {failure.exit_code}'}"
    return problem("llama.cpp", text, f"install it anew: {_REBUILD}")


def _reserved_help(facts: Facts) -> str:
    if facts.memory.address_space_bytes is not None:
        return "lift the limit on address space (ulimit -v unlimited, LimitAS=infinity); caches are copied until then"
    if facts.memory.overcommit is Overcommit.NEVER:
        return "sysctl vm.overcommit_memory=0 lets address space be reserved; caches are copied until then"
    return (
        "caches are copied when they grow, which works as well and pauses answers; a newer Swell may know this library"
    )


def _attention(library: LibraryFacts, settings: Settings) -> Iterator[Finding]:
    is_off = settings.flash_attention.value == "off"
    if library.fuses_attention and not is_off:
        return
    why = "OLLAMA_FLASH_ATTENTION turns it off" if is_off else "this llama.cpp can't"
    help = "unset OLLAMA_FLASH_ATTENTION" if is_off else f"install llama.cpp anew: {_REBUILD}"
    if settings.kv_cache_type not in (None, CacheType.F16):
        text = f"a {settings.kv_cache_type.value} cache needs flash attention, and {why}"
        yield problem("flash attention", text, f"{help}, or set OLLAMA_KV_CACHE_TYPE=f16")
    else:
        text = f"attention isn't fused ({why}): memory follows a conversation less closely"
        yield remark("flash attention", text, help)


def _memory(facts: Facts) -> Iterator[Finding]:
    memory = facts.memory
    if memory.free_bytes <= facts.headroom_bytes:
        limit = "the limit of a control group" if memory.free_bytes < memory.machine_available_bytes else "the machine"
        text = f"no memory is free for models: {limit} leaves {_size(memory.free_bytes)}"
        yield problem("memory", text, "end other programs, raise the limit, or unload models (swell stop)")
    if facts.budget_bytes is not None and facts.budget_bytes > memory.total_bytes:
        text = f"SWELL_KV_BUDGET is {_size(facts.budget_bytes)}, more than the {_size(memory.total_bytes)} there are"
        yield remark("budget", text, "what is free bounds caches anyway; a part of it, such as 60%, fits any machine")
    if memory.overcommit is Overcommit.NEVER:
        text = "vm.overcommit_memory is 2: the kernel counts reserved address space as if it were used"
        yield remark("overcommit", text, "sysctl vm.overcommit_memory=0")
    if memory.address_space_bytes is not None:
        text = (
            f"a process may map only {_size(memory.address_space_bytes)}, the address space of whole windows included"
        )
        yield remark("address space", text, "ulimit -v unlimited, or LimitAS=infinity in a unit of systemd")


def _processors(facts: Facts) -> Iterator[Finding]:
    quota = facts.processors.quota
    if quota is not None and quota < 1:
        text = f"a control group leaves this process {quota:g} of one processor's time"
        yield remark("processors", text, "raise the quota (cpu.max, --cpus, CPUQuota)")


def device_findings(hardware: HardwareFacts, library: LibraryFacts | LibraryFailure) -> Iterator[Finding]:
    """Why devices that are on the bus take no layers."""
    if isinstance(library, LibraryFailure) or library.devices:
        return
    for vendor in Vendor:
        found = [accelerator for accelerator in hardware.accelerators if accelerator.vendor is vendor]
        if not found and vendor not in hardware.reachable:
            continue
        options = _BACKENDS[vendor]
        built = [backend for backend in library.backends if backend in options]
        what = f"{len(found) or 'a'} {vendor.value} device{'s' if len(found) > 1 else ''}"
        if not built and (found or vendor is Vendor.NVIDIA):
            name, option = next(iter(options.items()))
            text = f"{what} not used: llama.cpp was built for {' and '.join(library.backends)} only"
            yield remark("devices", text, f"with {name} installed, compile it anew: CMAKE_ARGS={option} {_REBUILD}")
        elif built and hardware.hidden_by:
            yield remark("devices", f"{what} not used: {', '.join(hardware.hidden_by)}", "unset that variable")
        elif built and vendor not in hardware.reachable:
            help = "install its driver; in a container, hand the device over (--gpus all, --device)"
            yield remark("devices", f"{what} not used: no program can reach it", help)
        elif built and found:
            help = "see whether the driver's own tools find it, and whether its version fits the one compiled for"
            yield remark("devices", f"{what} not used: {' and '.join(built)} doesn't find it", help)


def _folder(folder: FolderFacts) -> Iterator[Finding]:
    where = f"{folder.path} ({folder.setting})"
    is_only_read = folder.setting == "SWELL_MODELS_DIR"
    match folder.state:
        case FolderState.UNREADABLE:
            yield problem("folder", f"{where} can't be read", "let this user read it, or name another folder")
        case FolderState.IMPOSSIBLE:
            yield problem("folder", f"{where} isn't there and can't be made", "name another folder")
        case FolderState.MISSING if is_only_read:
            yield problem("folder", f"{where} isn't there", "make it, or name another folder")
        case FolderState.READ_ONLY if not is_only_read:
            text = f"{where} can't be written to: models in it can be run, none can be added"
            yield remark("folder", text, "let this user write there, or name another folder")
        case FolderState.GOOD | FolderState.MISSING if not is_only_read and folder.free_bytes < _DISK_MIN_BYTES:
            text = f"only {_size(folder.free_bytes)} are free on the disk of {where}"
            yield remark("disk", text, "make room (swell rm), or name a folder on another disk")


def _models(facts: Facts, settings: Settings) -> Iterator[Finding]:
    for name, reason in facts.missing_models.items():
        yield problem(
            "model", f"{name} can't be run: {reason}", "swell list shows what is there, swell pull fetches more"
        )
    for name, reason in facts.damaged_models.items():
        yield remark("model", f"{name} is damaged: {reason}", f"swell pull {name}, or swell rm {name}")
    if not facts.models and not facts.missing_models:
        yield remark("model", "there are no models", "swell pull fetches one; docs/models.md tells of other ways")
    chosen = settings.kv_cache_type or CacheType.F16
    for model in facts.models:
        yield from _fit(model, chosen, facts)


def _fit(model: ModelFacts, chosen: CacheType, facts: Facts) -> Iterator[Finding]:
    windows = {fit.cache_type: fit.window_tokens for fit in model.fits}
    window = windows[chosen.value]
    if window == model.window_tokens:
        return
    others = [f"{kind} {tokens}" for kind, tokens in windows.items() if tokens > window]
    smaller = f"with OLLAMA_KV_CACHE_TYPE {', '.join(others)} tokens would fit; " if others else ""
    next_bytes = (window + 1) * model.cell_bytes * chosen.element_bytes / CacheType.F16.element_bytes
    is_budget = facts.budget_bytes is not None and next_bytes > facts.budget_bytes
    help = smaller + ("raise SWELL_KV_BUDGET" if is_budget else "free memory, or take a smaller model or quantization")
    if window:
        text = f"{model.name}: {window} of {model.window_tokens} tokens fit"
        yield remark("window", text, help)
    else:
        say = problem if model.name in facts.asked_models else remark
        yield say("window", f"{model.name} doesn't fit; its weights take {_size(model.weights_bytes)}", help)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 10**9 else f"{size_bytes / 1e6:.0f} MB"
