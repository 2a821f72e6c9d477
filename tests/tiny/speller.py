"""A llama with random weights that reads and writes text, one byte per token: nonsense, but in a millisecond."""

from pathlib import Path

import gguf
from tests.tiny.layers import EPSILON, FEED_FORWARD, HEAD, WIDTH, add_attention, add_ends, add_feed_forward, add_norms
from tests.tiny.weights import ModelFile

SPELLER_TOKENS = 2048

_SPECIAL = ("<unk>", "<s>", "</s>")
_TOKENS = (*_SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)))
_HEADS = 2
_TEMPLATE = (
    "{{ bos_token }}{% if tools %}{{ tools | tojson }}{% endif %}"
    "{% for message in messages %}<{{ message.role }}>"
    "{% if message.reasoning_content %}<think>{{ message.reasoning_content }}</think>{% endif %}{{ message.content }}"
    "{% for call in message.tool_calls %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
"""By its words the model thinks and calls tools, as Qwen's do."""


def write_speller(path: Path) -> None:
    """One layer, and a template with everything a template may have."""
    metadata = {
        "context_length": SPELLER_TOKENS,
        "embedding_length": WIDTH,
        "block_count": 1,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": _HEADS,
        "attention.head_count_kv": _HEADS,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "attention.layer_norm_rms_epsilon": EPSILON,
        "rope.dimension_count": HEAD,
    }
    file = ModelFile("llama", vocabulary_tokens=len(_TOKENS), metadata=metadata)
    add_ends(file, vocabulary_tokens=len(_TOKENS))
    add_norms(file, "blk.0", "attn_norm", "ffn_norm")
    add_attention(file, "blk.0", heads=_HEADS, kv_heads=_HEADS)
    add_feed_forward(file, "blk.0")
    file.write(path, _add_vocabulary)


def _add_vocabulary(writer: gguf.GGUFWriter) -> None:
    unknown, control, byte = gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.BYTE
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(_TOKENS))
    writer.add_token_scores([0.0] * len(_TOKENS))
    writer.add_token_types([unknown, control, control, *[byte] * 256])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(_TEMPLATE)
