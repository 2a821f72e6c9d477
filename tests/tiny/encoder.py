"""A BERT: an encoder that turns texts into vectors, with a vocabulary small enough to read."""

import string
from pathlib import Path

import gguf
from tests.tiny.layers import FEED_FORWARD, WIDTH
from tests.tiny.weights import ModelFile

ENCODER_TOKENS = 1024
ENCODER_WIDTH = WIDTH

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_WORDS = "why is the sky blue grass green water so warm a dog cat runs sleeps one two three ? . ,"
_WORD_START = "\u2581"
_TOKENS = (
    *_SPECIAL,
    *(_WORD_START + word for word in dict.fromkeys([*_WORDS.split(), *string.ascii_lowercase])),
    *string.ascii_lowercase,  # inside of words
)
_LAYERS, _HEADS, _SEGMENTS = 2, 4, 2


def write_bert(path: Path, *, pooling: gguf.PoolingType = gguf.PoolingType.MEAN) -> None:
    """An encoder with learnt positions; each word of the vocabulary is a token, others are spelt."""
    file = ModelFile(
        "bert",
        vocabulary_tokens=len(_TOKENS),
        metadata={
            "context_length": ENCODER_TOKENS,
            "embedding_length": WIDTH,
            "block_count": _LAYERS,
            "feed_forward_length": FEED_FORWARD,
            "attention.head_count": _HEADS,
            "attention.layer_norm_epsilon": 1e-6,
            "attention.causal": False,
            "pooling_type": pooling.value,
        },
    )
    file.array("token_embd.weight", file.normal((len(_TOKENS), WIDTH)))
    file.array("token_types.weight", file.normal((_SEGMENTS, WIDTH)))
    file.array("position_embd.weight", file.normal((ENCODER_TOKENS, WIDTH), deviation=0.5))
    _add_norm(file, "token_embd_norm")
    for layer in range(_LAYERS):
        _add_layer(file, f"blk.{layer}")
    file.write(path, _add_vocabulary)


def _add_layer(file: ModelFile, block: str) -> None:
    for name, outputs, inputs in (
        ("attn_q", WIDTH, WIDTH),
        ("attn_k", WIDTH, WIDTH),
        ("attn_v", WIDTH, WIDTH),
        ("attn_output", WIDTH, WIDTH),
        ("ffn_up", FEED_FORWARD, WIDTH),
        ("ffn_down", WIDTH, FEED_FORWARD),
    ):
        file.matrix(f"{block}.{name}", outputs, inputs)
        file.vector(f"{block}.{name}.bias", outputs, mean=0.0)
    _add_norm(file, f"{block}.attn_output_norm")
    _add_norm(file, f"{block}.layer_output_norm")


def _add_norm(file: ModelFile, name: str) -> None:
    file.vector(f"{name}.weight", WIDTH)
    file.vector(f"{name}.bias", WIDTH, mean=0.0)


def _add_vocabulary(writer: gguf.GGUFWriter) -> None:
    writer.add_tokenizer_model("bert")
    writer.add_token_list(list(_TOKENS))
    special, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([special if token in _SPECIAL else normal for token in _TOKENS])
    writer.add_token_type_count(_SEGMENTS)
    writer.add_pad_token_id(_SPECIAL.index("[PAD]"))
    writer.add_unk_token_id(_SPECIAL.index("[UNK]"))
    writer.add_bos_token_id(_SPECIAL.index("[CLS]"))
    writer.add_sep_token_id(_SPECIAL.index("[SEP]"))
    writer.add_mask_token_id(_SPECIAL.index("[MASK]"))
