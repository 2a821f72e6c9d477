"""Models with a state per slot: in all layers, or in those between layers that attend."""

from collections.abc import Sequence
from pathlib import Path

from tests.tiny.layers import (
    EPSILON,
    FEED_FORWARD,
    HEAD,
    VOCABULARY,
    WIDTH,
    add_attention,
    add_ends,
    add_feed_forward,
    add_norms,
)
from tests.tiny.weights import ModelFile, Value

RECURRENT_TOKENS = 4096
HYBRID_TOKENS = 4096
HYBRID_WINDOW = 64

_INNER = 2 * WIDTH  # llama.cpp supports no other factor
_CONVOLUTION = 4
_STATE = 16
_STEP_RANK = 4
_GROUPED_STATE, _STATE_HEADS, _STATE_GROUPS = 32, 4, 1
_RWKV_HEAD, _RWKV_RANK = 64, 16  # ggml's vector code reads a state in steps of up to 64

_HEADS, _KV_HEADS = 2, 1
_SHORT_CONVOLUTION = 3
_KV_HEADS_BY_LAYER = (0, 0, _KV_HEADS, 0, _KV_HEADS, 0)
"""0: a layer with a state."""


def write_mamba(path: Path) -> None:
    """State space layers with a convolution before each."""
    layers = 4
    metadata = _base_metadata(RECURRENT_TOKENS, layers) | _state_metadata(_STATE, _STEP_RANK)
    file = ModelFile("mamba", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file)
    for layer in range(layers):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm")
        _add_mamba(file, block)
    file.write(path)


def write_mamba2(path: Path) -> None:
    """State space layers with heads, and one decay per head."""
    layers = 4
    metadata = _base_metadata(RECURRENT_TOKENS, layers) | _grouped_state_metadata()
    file = ModelFile("mamba2", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file)
    for layer in range(layers):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm")
        _add_mamba2(file, block)
    file.write(path)


def write_rwkv7(path: Path) -> None:
    """Linear attention with a matrix of state per head, and the previous token mixed into the next."""
    layers = 3
    metadata: dict[str, Value] = {
        "context_length": RECURRENT_TOKENS,
        "embedding_length": WIDTH,
        "block_count": layers,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": 0,
        "attention.layer_norm_epsilon": EPSILON,
        "attention.decay_lora_rank": _RWKV_RANK,
        "attention.iclr_lora_rank": _RWKV_RANK,
        "attention.value_residual_mix_lora_rank": _RWKV_RANK,
        "attention.gate_lora_rank": _RWKV_RANK,
        "wkv.head_size": _RWKV_HEAD,
    }
    file = ModelFile("rwkv7", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file)
    file.vector("output_norm.bias", WIDTH, mean=0.0)
    file.vector("token_embd_norm.weight", WIDTH)
    file.vector("token_embd_norm.bias", WIDTH, mean=0.0)
    for layer in range(layers):
        _add_rwkv7(file, f"blk.{layer}")
    file.write(path)


def write_jamba(path: Path) -> None:
    """Mamba layers, with attention in between that doesn't rotate."""
    metadata = _hybrid_metadata() | _state_metadata(_STATE, _STEP_RANK)
    file = ModelFile("jamba", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file)
    for layer, kv_heads in enumerate(_KV_HEADS_BY_LAYER):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm", "ffn_norm")
        if kv_heads:
            add_attention(file, block, heads=_HEADS, kv_heads=kv_heads)
        else:
            _add_mamba(file, block)
            file.vector(f"{block}.ssm_dt_norm.weight", _STEP_RANK)
            file.vector(f"{block}.ssm_b_norm.weight", _STATE)
            file.vector(f"{block}.ssm_c_norm.weight", _STATE)
        add_feed_forward(file, block)
    file.write(path)


def write_granite_hybrid(path: Path) -> None:
    """Mamba-2 layers with attention in between."""
    metadata = _hybrid_metadata() | _grouped_state_metadata()
    file = ModelFile("granitehybrid", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file)
    for layer, kv_heads in enumerate(_KV_HEADS_BY_LAYER):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm", "ffn_norm")
        if kv_heads:
            add_attention(file, block, heads=_HEADS, kv_heads=kv_heads)
        else:
            _add_mamba2(file, block)
        add_feed_forward(file, block)
    file.write(path)


def write_lfm2(path: Path) -> None:
    """Short convolutions, whose state is a few tokens of input, with attention in between."""
    _write_lfm2(path, {})


def write_lfm2_sliding(path: Path) -> None:
    """The same, where attention has a window: cells that are forgotten beside states."""
    _write_lfm2(path, {"attention.sliding_window": HYBRID_WINDOW})


def _write_lfm2(path: Path, window: dict[str, Value]) -> None:
    metadata = _hybrid_metadata() | {"shortconv.l_cache": _SHORT_CONVOLUTION} | window
    file = ModelFile("lfm2", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file, output_norm="token_embd_norm")
    for layer, kv_heads in enumerate(_KV_HEADS_BY_LAYER):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm", "ffn_norm")
        if kv_heads:
            add_attention(file, block, heads=_HEADS, kv_heads=kv_heads, head_norms=True)
        else:
            file.array(f"{block}.shortconv.conv.weight", file.normal((WIDTH, _SHORT_CONVOLUTION)))
            file.matrix(f"{block}.shortconv.in_proj", 3 * WIDTH, WIDTH)
            file.matrix(f"{block}.shortconv.out_proj", WIDTH, WIDTH)
        add_feed_forward(file, block)
    file.write(path)


def _base_metadata(trained_tokens: int, layers: int) -> dict[str, Value]:
    return {
        "context_length": trained_tokens,
        "embedding_length": WIDTH,
        "block_count": layers,
        "feed_forward_length": 0,
        "attention.head_count": 0,
        "attention.layer_norm_rms_epsilon": EPSILON,
    }


def _hybrid_metadata() -> dict[str, Value]:
    return _base_metadata(HYBRID_TOKENS, len(_KV_HEADS_BY_LAYER)) | {
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": _HEADS,
        "attention.head_count_kv": _KV_HEADS_BY_LAYER,
        "rope.dimension_count": HEAD,
    }


def _state_metadata(state: int, step_rank: int) -> dict[str, Value]:
    return {
        "ssm.conv_kernel": _CONVOLUTION,
        "ssm.inner_size": _INNER,
        "ssm.state_size": state,
        "ssm.time_step_rank": step_rank,
    }


def _grouped_state_metadata() -> dict[str, Value]:
    return _state_metadata(_GROUPED_STATE, _STATE_HEADS) | {"ssm.group_count": _STATE_GROUPS}


def _add_decay(file: ModelFile, block: str, a_shape: Sequence[int], d_shape: Sequence[int], steps: int) -> None:
    """A, D and the bias of the step: states that fade over tens to thousands of tokens."""
    file.array(f"{block}.ssm_a", -file.log_uniform(tuple(a_shape), 0.01, 1.0))
    file.array(f"{block}.ssm_d", file.normal(tuple(d_shape)))
    file.vector(f"{block}.ssm_dt.bias", steps, mean=-2.0, deviation=1.0)


def _add_convolution(file: ModelFile, block: str, channels: int) -> None:
    file.array(f"{block}.ssm_conv1d.weight", file.normal((channels, _CONVOLUTION), deviation=0.7))
    file.vector(f"{block}.ssm_conv1d.bias", channels, mean=0.0)


def _add_mamba(file: ModelFile, block: str) -> None:
    file.matrix(f"{block}.ssm_in", 2 * _INNER, WIDTH, gain=1.5)
    _add_convolution(file, block, _INNER)
    file.matrix(f"{block}.ssm_x", _STEP_RANK + 2 * _STATE, _INNER, gain=2.0)
    file.matrix(f"{block}.ssm_dt", _INNER, _STEP_RANK)
    _add_decay(file, block, (_INNER, _STATE), (_INNER,), _INNER)
    file.matrix(f"{block}.ssm_out", WIDTH, _INNER)


def _add_mamba2(file: ModelFile, block: str) -> None:
    channels = _INNER + 2 * _STATE_GROUPS * _GROUPED_STATE
    file.matrix(f"{block}.ssm_in", _INNER + channels + _STATE_HEADS, WIDTH, gain=1.5)
    _add_convolution(file, block, channels)
    _add_decay(file, block, (_STATE_HEADS, 1), (_STATE_HEADS, 1), _STATE_HEADS)
    file.array(f"{block}.ssm_norm.weight", file.normal((_STATE_GROUPS, _INNER // _STATE_GROUPS), mean=1.0))
    file.matrix(f"{block}.ssm_out", WIDTH, _INNER)


def _add_rwkv7(file: ModelFile, block: str) -> None:
    for norm in ("attn_norm", "attn_norm_2", "time_mix_ln"):
        file.vector(f"{block}.{norm}.weight", WIDTH)
        file.vector(f"{block}.{norm}.bias", WIDTH, mean=0.0)
    for name, mean in (("w", -5.0), ("a", 0.0), ("v", 0.0)):
        file.vector(f"{block}.time_mix_{name}0.weight", WIDTH, mean=mean, deviation=1.5)
        file.matrix(f"{block}.time_mix_{name}1", _RWKV_RANK, WIDTH)
        file.matrix(f"{block}.time_mix_{name}2", WIDTH, _RWKV_RANK)
    file.matrix(f"{block}.time_mix_g1", _RWKV_RANK, WIDTH)
    file.matrix(f"{block}.time_mix_g2", WIDTH, _RWKV_RANK, gain=2.0)
    file.array(f"{block}.time_mix_lerp_fused.weight", file.normal((6, 1, 1, WIDTH), mean=0.5, deviation=0.3))
    file.vector(f"{block}.time_mix_k_k.weight", WIDTH)
    file.vector(f"{block}.time_mix_k_a.weight", WIDTH)
    file.vector(f"{block}.time_mix_r_k.weight", WIDTH, mean=0.0)
    for name in ("key", "value", "receptance", "output"):
        file.matrix(f"{block}.time_mix_{name}", WIDTH, WIDTH, gain=1.5)
    file.array(f"{block}.channel_mix_lerp_k.weight", file.normal((1, 1, WIDTH), mean=0.5, deviation=0.3))
    file.matrix(f"{block}.channel_mix_key", FEED_FORWARD, WIDTH)
    file.matrix(f"{block}.channel_mix_value", WIDTH, FEED_FORWARD)
