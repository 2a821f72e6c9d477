"""Models that attend to few tokens, which an indexer picks: by keys of its own, in a second cache beside the first."""

from pathlib import Path

from tests.tiny.latent import LATENT_METADATA, QUERY_LATENT, add_latent_attention
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

SPARSE_TOKENS = 4096

_HEADS, _KV_HEADS = 4, 2
_LAYERS, _DENSE_LAYERS = 3, 1
_SIGMOID = 2
_PICKED_TOKENS, _INDEX_HEADS, _INDEX_HEAD = 32, 4, 64
_PICKED_BLOCKS, _BLOCK, _LOCAL_BLOCKS, _BLOCK_INDEX_HEAD = 3, 16, 1, 32


def _expert_metadata() -> dict[str, Value]:
    return {
        "context_length": SPARSE_TOKENS,
        "embedding_length": WIDTH,
        "block_count": _LAYERS,
        "feed_forward_length": FEED_FORWARD,
        "leading_dense_block_count": _DENSE_LAYERS,
        "attention.layer_norm_rms_epsilon": EPSILON,
        "expert_count": EXPERTS,
        "expert_used_count": 2,
        "expert_shared_count": 1,
        "expert_feed_forward_length": EXPERT_FEED_FORWARD,
        "expert_weights_scale": 1.0,
        "expert_gating_func": _SIGMOID,
    }


def write_deepseek32(path: Path) -> None:
    """Latent attention to the tokens that the indexer picks."""
    metadata = (
        _expert_metadata()
        | LATENT_METADATA
        | {
            "attention.indexer.head_count": _INDEX_HEADS,
            "attention.indexer.key_length": _INDEX_HEAD,
            "attention.indexer.top_k": _PICKED_TOKENS,
        }
    )
    file = ModelFile("deepseek32", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file)
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm", "ffn_norm")
        add_latent_attention(file, block)
        file.vector(f"{block}.indexer.k_norm.weight", _INDEX_HEAD)
        file.vector(f"{block}.indexer.k_norm.bias", _INDEX_HEAD, mean=0.0)
        file.matrix(f"{block}.indexer.proj", _INDEX_HEADS, WIDTH)
        file.matrix(f"{block}.indexer.attn_k", _INDEX_HEAD, WIDTH)
        file.matrix(f"{block}.indexer.attn_q_b", _INDEX_HEADS * _INDEX_HEAD, QUERY_LATENT)
        if layer < _DENSE_LAYERS:
            add_feed_forward(file, block)
        else:
            add_experts(file, block)
    file.write(path)


def write_minimax_m3(path: Path) -> None:
    """Attention with heads, to the blocks of tokens that the indexer picks."""
    metadata = _expert_metadata() | {
        "attention.head_count": _HEADS,
        "attention.head_count_kv": _KV_HEADS,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "rope.dimension_count": HEAD,
        "attention.indexer.head_count": _KV_HEADS,
        "attention.indexer.key_length": _BLOCK_INDEX_HEAD,
        "attention.indexer.top_k": _PICKED_BLOCKS,
        "attention.indexer.block_size": _BLOCK,
        "attention.indexer.local_blocks": _LOCAL_BLOCKS,
    }
    file = ModelFile("minimax-m3", vocabulary_tokens=VOCABULARY, metadata=metadata)
    add_ends(file)
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm", "ffn_norm")
        add_attention(file, block, heads=_HEADS, kv_heads=_KV_HEADS, head_norms=True)
        if layer < _DENSE_LAYERS:
            add_feed_forward(file, block)
        else:
            add_experts(file, block)
            file.vector(f"{block}.exp_probs_b.bias", EXPERTS, mean=0.0)
            file.matrix(f"{block}.indexer.q_proj", _KV_HEADS * _BLOCK_INDEX_HEAD, WIDTH)
            file.matrix(f"{block}.indexer.k_proj", _BLOCK_INDEX_HEAD, WIDTH)
            file.vector(f"{block}.indexer.q_norm.weight", _BLOCK_INDEX_HEAD)
            file.vector(f"{block}.indexer.k_norm.weight", _BLOCK_INDEX_HEAD)
    file.write(path)
