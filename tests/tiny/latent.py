"""A model with multi-head latent attention, in the absorbed form: one K row of the latent and the rotated part.

V is a view of that row, so that the cache holds no V at all.
"""

from pathlib import Path

from tests.tiny.layers import (
    EPSILON,
    EXPERT_FEED_FORWARD,
    EXPERTS,
    FEED_FORWARD,
    HEAD,
    VOCABULARY,
    WIDTH,
    add_ends,
    add_experts,
    add_feed_forward,
    add_norms,
)
from tests.tiny.weights import ModelFile, Value

LATENT_TOKENS = 4096
QUERY_LATENT = 32

_HEADS = 4
_LATENT, _ROTATED, _UNROTATED = 64, 32, 32

LATENT_METADATA: dict[str, Value] = {
    "attention.head_count": _HEADS,
    "attention.head_count_kv": 1,
    "attention.q_lora_rank": QUERY_LATENT,
    "attention.kv_lora_rank": _LATENT,
    "attention.key_length": _LATENT + _ROTATED,
    "attention.value_length": _LATENT,
    "attention.key_length_mla": _UNROTATED + _ROTATED,
    "attention.value_length_mla": HEAD,
    "rope.dimension_count": _ROTATED,
}


def write_deepseek2(path: Path) -> None:
    """Latent attention; experts after the first layer."""
    layers, dense_layers = 3, 1
    metadata = LATENT_METADATA | {
        "context_length": LATENT_TOKENS,
        "embedding_length": WIDTH,
        "block_count": layers,
        "feed_forward_length": FEED_FORWARD,
        "leading_dense_block_count": dense_layers,
        "attention.layer_norm_rms_epsilon": EPSILON,
        "expert_count": EXPERTS,
        "expert_used_count": 2,
        "expert_shared_count": 1,
        "expert_feed_forward_length": EXPERT_FEED_FORWARD,
        "expert_weights_scale": 1.0,
    }
    file = ModelFile("deepseek2", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file)
    for layer in range(layers):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm", "ffn_norm")
        add_latent_attention(file, block)
        if layer < dense_layers:
            add_feed_forward(file, block)
        else:
            add_experts(file, block)
    file.write(path)


def add_latent_attention(file: ModelFile, block: str) -> None:
    """Q through a latent of its own, and the row that stands for K and V."""
    file.matrix(f"{block}.attn_q_a", QUERY_LATENT, WIDTH)
    file.vector(f"{block}.attn_q_a_norm.weight", QUERY_LATENT)
    file.matrix(f"{block}.attn_q_b", _HEADS * (_UNROTATED + _ROTATED), QUERY_LATENT, gain=2.0)
    file.matrix(f"{block}.attn_kv_a_mqa", _LATENT + _ROTATED, WIDTH, gain=1.5)
    file.vector(f"{block}.attn_kv_a_norm.weight", _LATENT)
    file.stack(f"{block}.attn_k_b", (_HEADS, _LATENT, _UNROTATED), gain=1.5)
    file.stack(f"{block}.attn_v_b", (_HEADS, HEAD, _LATENT))
    file.matrix(f"{block}.attn_output", WIDTH, _HEADS * HEAD, gain=2.0)
