"""A loaded model: its weights, metadata and vocabulary."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from swell.cache import CacheType
from swell.devices import HOST_ONLY, DeviceMemory, KvPlace, Placement
from swell.errors import LibraryError, ModelLoadError, TokenizeError
from swell.llama import amx, library, logs
from swell.llama.device_quota import freeing, note_freed, noting_buffers
from swell.llama.devices import Device
from swell.llama.gguf_array import read_integers
from swell.llama.handle import Handle
from swell.llama.library import VOID, api
from swell.memory.mapped import drop_mapped_pages
from swell.memory.resident import process_resident

_ROUNDING_BYTES = 1 << 20
"""The kernel counts pages for each processor and adds them up now and then."""
_PLANAR_ROPES = frozenset({api.LLAMA_ROPE_TYPE_MROPE, api.LLAMA_ROPE_TYPE_IMROPE})


class LlamaModel(Handle):
    """The weights of a GGUF file, in host memory and on devices."""

    def __init__(
        self,
        path: Path,
        placement: Placement = HOST_ONLY,
        devices: Sequence[Device] = (),
        *,
        maps_weights: bool = True,
        on_progress: Callable[[], None] | None = None,
    ) -> None:
        """Load `path`; raises ModelLoadError with llama.cpp's reason.

        `devices` must have those the placement names. Weights not mapped, where that works, are read into memory.
        `on_progress` is called from time to time while that goes on.
        """
        library.start()
        if not path.is_file():
            raise ModelLoadError(str(path), "no such file")
        by_name = {device.name: device for device in devices}
        self.placement = placement
        self.devices = [by_name[share.device] for share in placement.shares]
        parameters = api.llama_model_default_params()
        # AUTO is to map them, unless a device can't have that
        parameters.load_mode = api.LLAMA_LOAD_MODE_AUTO if maps_weights else api.LLAMA_LOAD_MODE_NONE
        parameters.use_extra_bufts = not amx.is_broken()
        watch = _LoadWatch(on_progress)
        parameters.progress_callback = callback = api.llama_progress_callback(watch.advance)
        kept = callback, _place(parameters, self.devices, placement)
        before = self.measure_taken()
        with noting_buffers() as self._buffers:
            pointer = api.llama_model_load_from_file(str(path).encode(), parameters)
        if not pointer:
            note_freed(self._buffers)
            raise ModelLoadError(str(path), logs.take_errors())
        del kept  # had to live until the model was loaded
        super().__init__(pointer, freeing(api.llama_model_free, self._buffers))
        self._path = path
        self.device_bytes = taken_bytes(before, self.measure_taken())
        """What the weights take on each device, as its driver counts it."""
        self.trained_tokens: int = api.llama_model_n_ctx_train(pointer) & 0xFFFF_FFFF  # kept unsigned, given signed
        self.window_tokens: int = api.llama_model_n_swa(pointer)  # attention window; 0: all tokens see all before
        self.is_recurrent = bool(api.llama_model_is_recurrent(pointer) or api.llama_model_is_hybrid(pointer))
        self.has_planar_positions = api.llama_model_rope_type(pointer) in _PLANAR_ROPES
        """Whether the position of a token is a point, as models that see pictures want it."""
        self.weights_bytes: int = api.llama_model_size(pointer)
        self.layers: int = api.llama_model_n_layer(pointer)
        self.maps_weights = maps_weights
        self.copied_bytes = max(0, watch.written_bytes() - self.in_process_bytes(self.device_bytes))
        """Weights in host memory that are no pages of the file: all that were read, and those in another layout. So are
        adapters.

        For many types llama.cpp rearranges the weights to compute faster, which shows only in the memory they take.
        """
        if maps_weights and self.copied_bytes:
            drop_mapped_pages()
        self.vocabulary = Vocabulary(self)
        self._adapters: list[Any] = []  # freed with the model

    def add_adapter(self, path: Path) -> None:
        """Load the LoRA adapter at `path` for all contexts that are created from now on; none may be there yet.

        Raises ModelLoadError with llama.cpp's reason; what makes it crash must have been found before.
        """
        before = self.measure_taken()
        with noting_buffers() as buffers:
            pointer = api.llama_adapter_lora_init(self.pointer, str(path).encode())
        self._buffers += buffers
        if not pointer:
            raise ModelLoadError(str(path), logs.take_errors())
        self._adapters.append(pointer)
        size_bytes = path.stat().st_size
        taken = taken_bytes(before, self.measure_taken())
        self.device_bytes = {name: self.device_bytes[name] + more for name, more in taken.items()}
        self.weights_bytes += size_bytes
        self.copied_bytes += max(0, size_bytes - sum(taken.values()))

    def apply_adapters(self, context: Any) -> bool:
        """Have llama.cpp's `context` compute with all adapters; whether there are any. Raises LibraryError.

        Its memory to compute in is made anew before the next batch.
        """
        count = len(self._adapters)
        pointers = (api.llama_adapter_lora_p_ctypes * count)(*self._adapters)
        scales = (ctypes.c_float * count)(*[1.0] * count)
        if count and (code := api.llama_set_adapters_lora(context, pointers, count, scales)) != 0:
            raise LibraryError(f"llama_set_adapters_lora returned {code}")
        return count > 0

    @property
    def has_adapters(self) -> bool:
        return bool(self._adapters)

    def kv_cell_bytes(self, cache_type: CacheType) -> int:
        """Bytes of K and V that one token takes, by the file's metadata, if every layer keeps every token.

        So it is too much for layers with a sliding window. MLA keeps one latent row and no V; sparse attention keeps
        another row of K for its index.
        """
        prefix = f"{self.metadata('general.architecture')}.attention."
        key_length = int(self.metadata(prefix + "key_length") or self._head_length)
        value_length = int(self.metadata(prefix + "value_length") or self._head_length)
        if self.metadata(prefix + "key_length_mla"):
            row = self.layers * key_length
        else:
            row = sum(self._kv_heads) * (key_length + value_length)
        index_row = self.layers * int(self.metadata(prefix + "indexer.key_length") or 0)
        return round((row + index_row) * cache_type.element_bytes)

    def kv_on_devices(self, kv_bytes: int) -> dict[str, int]:
        """What of a cache of `kv_bytes` lies on each device, if all heads of K and V take the same."""
        if self.placement.kv is KvPlace.HOST:
            return {}
        found, at = {}, self.layers + 1 - self.placement.device_layers
        for share in self.placement.shares:  # the output, which has none, is the last layer
            if heads := sum(self._kv_heads[at : at + share.layers]):
                found[share.device] = kv_bytes * heads // sum(self._kv_heads)
            at += share.layers
        return found

    @cached_property
    def _kv_heads(self) -> Sequence[int]:
        """Heads of K and V of each layer: layers that keep a state instead of a cache have none.

        llama.cpp only says how many the first layer has.
        """
        by_layer = read_integers(self._path, f"{self.metadata('general.architecture')}.attention.head_count_kv")
        return by_layer[: self.layers] if by_layer else [int(api.llama_model_n_head_kv(self.pointer))] * self.layers

    @property
    def mapped_bytes(self) -> int:
        """The weights in host memory that are pages of the file."""
        on_devices = sum(self.device_bytes.values())
        return max(0, self.weights_bytes - on_devices - self.copied_bytes) if self.maps_weights else 0

    @property
    def _head_length(self) -> int:
        heads: int = api.llama_model_n_head(self.pointer)
        embedding: int = api.llama_model_n_embd(self.pointer)
        return embedding // max(heads, 1)

    @property
    def is_on_devices(self) -> bool:
        """Whether everything that can be on a device is."""
        return self.placement.kv is KvPlace.DEVICE and self.placement.device_layers > self.layers

    def measure_devices(self) -> dict[str, DeviceMemory]:
        """The memory of the devices this model is on, as their drivers report it now. Waits for what they compute."""
        self.devices_memory = {device.name: device.memory() for device in self.devices}
        return self.devices_memory

    def in_process_bytes(self, device_bytes: Mapping[str, int]) -> int:
        """What of `device_bytes`, by device, is this process's own memory."""
        return sum(device_bytes[device.name] for device in self.devices if device.is_in_process)

    devices_memory: dict[str, DeviceMemory]
    """What `measure_devices` found the last time."""

    def measure_taken(self) -> dict[str, int]:
        """For each device a number that rises by what is taken of it, by this process alone where that has a quota."""
        memory = self.measure_devices()
        return {
            device.name: -memory[device.name].free_bytes if device.quota is None else device.quota.taken_bytes
            for device in self.devices
        }

    def metadata(self, key: str) -> str | None:
        """A scalar of the file's metadata as text, or None when there is none of this name."""
        size = api.llama_model_meta_val_str(self.pointer, key.encode(), None, 0)
        if size < 0:
            return None
        buffer = ctypes.create_string_buffer(size + 1)
        api.llama_model_meta_val_str(self.pointer, key.encode(), buffer, size + 1)
        return library.text(buffer.value)


class _LoadWatch:
    """Sees how much a load writes into host memory between the first tensor and the last.

    Before the first one the vocabulary is read, and buffers are allocated, of which nothing is backed yet.
    """

    def __init__(self, on_progress: Callable[[], None] | None) -> None:
        self._on_progress = on_progress
        self._before_bytes: int | None = None
        self._now_bytes = 0

    def advance(self, fraction: float, _data: object) -> bool:
        """Called by llama.cpp for each tensor."""
        if self._before_bytes is None or fraction >= 1:
            self._now_bytes = process_resident().own_bytes
        if self._before_bytes is None:
            self._before_bytes = self._now_bytes
        if self._on_progress is not None:
            self._on_progress()
        return True  # go on

    def written_bytes(self) -> int:
        """Bytes that the load has written; less than a megabyte is the kernel's rounding, and none."""
        written = self._now_bytes - (self._before_bytes or 0)
        return written if written >= _ROUNDING_BYTES else 0


def taken_bytes(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """How much was taken of each device between two calls of `measure_taken`."""
    return {name: max(0, after[name] - taken) for name, taken in before.items()}


def _place(parameters: Any, devices: Sequence[Device], placement: Placement) -> Any:
    """Write a placement into `parameters`; what is returned must live until the model is loaded.

    llama.cpp cuts its layers at the running totals of `tensor_split`, so numbers of layers are met exactly. Without any
    device in the list none is used, not even for computing.
    """
    pointers = (VOID * (len(devices) + 1))(*(device.pointer for device in devices), None)
    split = (ctypes.c_float * api.llama_max_devices())(*(share.layers for share in placement.shares))
    parameters.devices = ctypes.cast(pointers, VOID)
    parameters.tensor_split = split
    parameters.n_gpu_layers = placement.device_layers
    parameters.split_mode = api.LLAMA_SPLIT_MODE_LAYER
    return pointers, split


class Vocabulary:
    """The tokens of a model. Safe to use from any thread, also while a batch is computed."""

    def __init__(self, model: LlamaModel) -> None:
        self._model = model  # the vocabulary lives inside it
        self.pointer = api.llama_model_get_vocab(model.pointer)
        self._pieces: dict[int, bytes] = {}
        self._is_end: dict[int, bool] = {}
        self.size: int = api.llama_vocab_n_tokens(self.pointer)
        self.bos: int = api.llama_vocab_bos(self.pointer)  # -1 where the vocabulary has none
        self.eos: int = api.llama_vocab_eos(self.pointer)
        self.add_bos: bool = api.llama_vocab_get_add_bos(self.pointer)
        self.add_eos: bool = api.llama_vocab_get_add_eos(self.pointer)

    @property
    def middle_tokens(self) -> tuple[int, int, int] | None:
        """The tokens before a prefix, before a suffix and before what belongs between them; None if one is missing."""
        prefix, suffix, middle = (
            int(find(self.pointer))
            for find in (api.llama_vocab_fim_pre, api.llama_vocab_fim_suf, api.llama_vocab_fim_mid)
        )
        return None if min(prefix, suffix, middle) < 0 else (prefix, suffix, middle)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of `text`.

        `add_special` adds BOS and EOS where the vocabulary wants them; `parse_special` reads special tokens written
        out in the text as such. Raises TokenizeError for a vocabulary that can't tokenize.
        """
        data = text.encode("utf-8", "surrogatepass")
        capacity = len(data) + 2  # a token is at least one byte, and two may be added
        tokens = (api.llama_token * capacity)()
        count = api.llama_tokenize(self.pointer, data, len(data), tokens, capacity, add_special, parse_special)
        if count < 0 and count != -(2**31):
            tokens = (api.llama_token * -count)()
            count = api.llama_tokenize(self.pointer, data, len(data), tokens, -count, add_special, parse_special)
        if count < 0:
            raise TokenizeError(f"llama_tokenize returned {count} for {len(data)} bytes")
        return list(tokens[:count])

    def piece(self, token: int) -> bytes:
        """The bytes `token` stands for, which need not be whole characters; control tokens stand for none."""
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._read_piece(token, special=False)
        return piece

    def text(self, token: int) -> str:
        """A special token as it is written in a prompt; "" for -1, a token the vocabulary doesn't have."""
        return "" if token < 0 else self.written(token).decode("utf-8", "replace")

    def written(self, token: int) -> bytes:
        """The bytes of `token` as it is written in a prompt: of control tokens too."""
        return self._read_piece(token, special=True)

    def is_control(self, token: int) -> bool:
        """Whether `token` stands for no text of its own."""
        return bool(api.llama_vocab_is_control(self.pointer, token))

    def controls(self, texts: Sequence[str]) -> dict[int, bytes]:
        """Which control tokens are written as one of `texts`, and how. Raises TokenizeError."""
        found = {}
        for text in texts:
            tokens = self.tokenize(text, add_special=False, parse_special=True)
            if len(tokens) == 1 and self.is_control(tokens[0]):
                found[tokens[0]] = text.encode()
        return found

    def specials(self, *, parse_special: bool) -> list[str]:
        """All tokens that `tokenize` looks for in a text before it looks at anything else, as they are written."""
        kinds = api.LLAMA_TOKEN_ATTR_USER_DEFINED
        if parse_special:
            kinds |= api.LLAMA_TOKEN_ATTR_CONTROL | api.LLAMA_TOKEN_ATTR_UNKNOWN
        found = (token for token in range(self.size) if api.llama_vocab_get_attr(self.pointer, token) & kinds)
        return [text for text in map(self.text, found) if text]

    def is_end(self, token: int) -> bool:
        """Whether `token` ends a generation (end of text, of turn, of message…)."""
        is_end = self._is_end.get(token)
        if is_end is None:
            is_end = self._is_end[token] = bool(api.llama_vocab_is_eog(self.pointer, token))
        return is_end

    def _read_piece(self, token: int, *, special: bool) -> bytes:
        capacity = 64
        while True:
            buffer = ctypes.create_string_buffer(capacity)
            size: int = api.llama_token_to_piece(self.pointer, token, buffer, capacity, 0, special)
            if size >= 0:
                return buffer.raw[:size]
            capacity = -size
