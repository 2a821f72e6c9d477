"""The parts that the architectures share."""

from tests.tiny.weights import ModelFile

VOCABULARY = 256
WIDTH = 64
HEAD = 32
"""Quantised caches need heads of a multiple of 32."""
FEED_FORWARD = 64
EXPERTS = 4
EXPERT_FEED_FORWARD = 32
EPSILON = 1e-6

_SHARP = 1.6
"""Gain of Q and K: tokens attend to few others, so that each of those counts."""


def add_ends(
    file: ModelFile,
    *,
    output_norm: str = "output_norm",
    embedding_deviation: float = 1.0,
    tied: bool = False,
    vocabulary_tokens: int = VOCABULARY,
) -> None:
    """Embedding and output; `tied` where the architecture has no output matrix of its own.

    A tied matrix would repeat its input for ever; a final norm of random signs keeps it from that.
    """
    file.array("token_embd.weight", file.normal((vocabulary_tokens, WIDTH), deviation=embedding_deviation))
    if tied:
        file.vector(f"{output_norm}.weight", WIDTH, mean=0.0, deviation=1.0)
    else:
        file.vector(f"{output_norm}.weight", WIDTH)
        file.matrix("output", vocabulary_tokens, WIDTH, gain=3.0)


def add_attention(file: ModelFile, block: str, *, heads: int, kv_heads: int, head_norms: bool = False) -> None:
    """Q, K, V and the output projection; with `head_norms` also a norm on each head of Q and K."""
    file.matrix(f"{block}.attn_q", heads * HEAD, WIDTH, gain=_SHARP)
    file.matrix(f"{block}.attn_k", kv_heads * HEAD, WIDTH, gain=_SHARP)
    file.matrix(f"{block}.attn_v", kv_heads * HEAD, WIDTH)
    file.matrix(f"{block}.attn_output", WIDTH, heads * HEAD, gain=2.0)
    if head_norms:
        file.vector(f"{block}.attn_q_norm.weight", HEAD, mean=_SHARP)
        file.vector(f"{block}.attn_k_norm.weight", HEAD, mean=_SHARP)


def add_feed_forward(file: ModelFile, block: str) -> None:
    file.matrix(f"{block}.ffn_gate", FEED_FORWARD, WIDTH)
    file.matrix(f"{block}.ffn_up", FEED_FORWARD, WIDTH)
    file.matrix(f"{block}.ffn_down", WIDTH, FEED_FORWARD, gain=2.0)


def add_experts(file: ModelFile, block: str) -> None:
    """A router, its experts, and the one expert that every token uses."""
    file.matrix(f"{block}.ffn_gate_inp", EXPERTS, WIDTH)
    file.stack(f"{block}.ffn_gate_exps", (EXPERTS, EXPERT_FEED_FORWARD, WIDTH))
    file.stack(f"{block}.ffn_up_exps", (EXPERTS, EXPERT_FEED_FORWARD, WIDTH))
    file.stack(f"{block}.ffn_down_exps", (EXPERTS, WIDTH, EXPERT_FEED_FORWARD), gain=2.0)
    file.matrix(f"{block}.ffn_gate_shexp", EXPERT_FEED_FORWARD, WIDTH)
    file.matrix(f"{block}.ffn_up_shexp", EXPERT_FEED_FORWARD, WIDTH)
    file.matrix(f"{block}.ffn_down_shexp", WIDTH, EXPERT_FEED_FORWARD, gain=2.0)


def add_norms(file: ModelFile, block: str, *names: str) -> None:
    for name in names:
        file.vector(f"{block}.{name}.weight", WIDTH)
