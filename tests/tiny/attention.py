"""Models whose layers all attend: every token in cells of its own."""

from pathlib import Path

import gguf
from tests.tiny.layers import (
    EPSILON,
    EXPERT_FEED_FORWARD,
    EXPERTS,
    FEED_FORWARD,
    HEAD,
    VOCABULARY,
    WIDTH,
    add_attention,
    add_ends,
    add_experts,
    add_feed_forward,
    add_norms,
)
from tests.tiny.weights import ModelFile, Value

CAUSAL_TOKENS = 4096
SLIDING_TOKENS = 4096
CHUNKED_TOKENS = 32768

WINDOW = 64
CHUNK = 8192
"""llama.cpp writes this number into every Llama 4, whatever the file says."""

_HEADS, _KV_HEADS = 4, 2
_GEMMA_EMBEDDING_SCALE = WIDTH**0.5  # Gemma multiplies its embeddings by it


def _metadata(trained_tokens: int, layers: int) -> dict[str, Value]:
    return {
        "context_length": trained_tokens,
        "embedding_length": WIDTH,
        "block_count": layers,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": _HEADS,
        "attention.head_count_kv": _KV_HEADS,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "attention.layer_norm_rms_epsilon": EPSILON,
        "rope.dimension_count": HEAD,
    }


def write_llama(path: Path, *, pooling: gguf.PoolingType | None = None) -> None:
    """Plain causal attention, two heads of Q to each of K and V. With `pooling` it is a model for embeddings."""
    layers = 4
    metadata = _metadata(CAUSAL_TOKENS, layers) | ({} if pooling is None else {"pooling_type": pooling.value})
    file = ModelFile("llama", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file)
    for layer in range(layers):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm", "ffn_norm")
        add_attention(file, block, heads=_HEADS, kv_heads=_KV_HEADS)
        add_feed_forward(file, block)
    file.write(path)


def write_gemma2(path: Path) -> None:
    """Every second layer has a window; soft caps on attention and logits."""
    layers = 4
    metadata = _metadata(SLIDING_TOKENS, layers) | {
        "attention.sliding_window": WINDOW,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
    }
    file = ModelFile("gemma2", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file, embedding_deviation=2.0 / _GEMMA_EMBEDDING_SCALE, tied=True)
    for layer in range(layers):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm", "ffn_norm", "post_attention_norm", "post_ffw_norm")
        add_attention(file, block, heads=_HEADS, kv_heads=_KV_HEADS)
        add_feed_forward(file, block)
    file.write(path)


def write_gemma3(path: Path) -> None:
    """Five layers of six have a window; norms on the heads of Q and K."""
    layers = 6
    metadata = _metadata(SLIDING_TOKENS, layers) | {
        "attention.sliding_window": WINDOW,
        "rope.freq_base": 1e6,
    }
    file = ModelFile("gemma3", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file, embedding_deviation=1.0 / _GEMMA_EMBEDDING_SCALE)
    for layer in range(layers):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm", "ffn_norm", "post_attention_norm", "post_ffw_norm")
        add_attention(file, block, heads=_HEADS, kv_heads=_KV_HEADS, head_norms=True)
        add_feed_forward(file, block)
    file.write(path)


def write_qwen3vl(path: Path) -> None:
    """Positions are points: of a text, with the same number in each direction."""
    layers = 2
    metadata = _metadata(CAUSAL_TOKENS, layers) | {"rope.dimension_sections": [HEAD // 4, HEAD // 8, HEAD // 8, 0]}
    file = ModelFile("qwen3vl", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file)
    for layer in range(layers):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm", "ffn_norm")
        add_attention(file, block, heads=_HEADS, kv_heads=_KV_HEADS, head_norms=True)
        add_feed_forward(file, block)
    file.write(path)


def write_llama4(path: Path) -> None:
    """Three layers of four attend within chunks; every second layer has experts."""
    layers, expert_step = 4, 2
    metadata = _metadata(CHUNKED_TOKENS, layers) | {
        "interleave_moe_layer_step": expert_step,
        "expert_count": EXPERTS,
        "expert_used_count": 1,
        "expert_feed_forward_length": EXPERT_FEED_FORWARD,
    }
    file = ModelFile("llama4", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file)
    for layer in range(layers):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm", "ffn_norm")
        add_attention(file, block, heads=_HEADS, kv_heads=_KV_HEADS)
        if (layer + 1) % expert_step:
            add_feed_forward(file, block)
        else:
            add_experts(file, block)
    file.write(path)
