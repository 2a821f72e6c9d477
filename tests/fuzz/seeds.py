"""Sound files to damage: tiny models of all architectures, and of all kinds of vocabularies."""

import struct
import unittest.mock
from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
from tests.fuzz.document import Document, parse
from tests.tiny import ARCHITECTURES
from tests.tiny.attention import write_llama, write_qwen3vl
from tests.tiny.encoder import write_bert
from tests.tiny.layers import VOCABULARY
from tests.tiny.speller import write_speller
from tests.tiny.weights import ModelFile


def _gpt2(writer: gguf.GGUFWriter) -> None:
    """Bytes, as GPT-2 writes them, and merges of two."""
    printable = (*range(33, 127), *range(161, 173), *range(174, 256))
    letters = [chr(code) for code in (*printable, *range(256, 512 - len(printable) - 20))]
    merged = ["th", "he", "in", "er", "an", "re", "on", "at", "en", "nd", "ti", "es", "or", "te", "of"]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim|>", "<pad>"]
    tokens = [*[*letters, *merged][: VOCABULARY - len(special)], *special]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<") and len(token) > 1 else 1 for token in tokens])
    writer.add_token_merges([f"{pair[0]} {pair[1]}" for pair in merged])
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_pad_token_id(tokens.index("<pad>"))
    writer.add_add_bos_token(True)


def _ugm(writer: gguf.GGUFWriter) -> None:
    tokens = ["<pad>", "</s>", "<unk>", *("\u2581" + chr(code) for code in range(97, 123)), *map(chr, range(33, 127))]
    tokens += [f"<extra_id_{index}>" for index in range(VOCABULARY - len(tokens))]
    writer.add_tokenizer_model("t5")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(index) for index in range(len(tokens))])
    writer.add_token_types([3, 3, 2, *[1] * (len(tokens) - 3)])
    writer.add_bool("tokenizer.ggml.add_space_prefix", True)
    writer.add_bool("tokenizer.ggml.remove_extra_whitespaces", True)
    writer.add_precompiled_charsmap(struct.pack("<I256I2s", 1024, *[0] * 256, b"a\0"))
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(2)
    writer.add_pad_token_id(0)


def _rwkv(writer: gguf.GGUFWriter) -> None:
    writer.add_tokenizer_model("rwkv")
    writer.add_token_list(["<s>", *(f"\\x{byte:02x}" for byte in range(VOCABULARY - 1))])
    writer.add_token_types([3, *[1] * (VOCABULARY - 1)])


_VOCABULARIES: dict[str, Callable[[gguf.GGUFWriter], None]] = {
    "gpt2": _gpt2,
    "t5": _ugm,
    "rwkv": _rwkv,
}


def seeds(folder: Path) -> Iterator[tuple[str, Document]]:
    """All of them, by name. They are written into `folder`."""
    writers: dict[str, Callable[[Path], None]] = {
        name: architecture.write for name, architecture in ARCHITECTURES.items()
    }
    for name, write in {**writers, "qwen3vl": write_qwen3vl, "bert": write_bert, "speller": write_speller}.items():
        yield name, _written(write, folder)
    for name, add in _VOCABULARIES.items():
        yield f"llama-{name}", _with(add, write_llama, folder)
    yield "embedding", _written(lambda path: write_llama(path, pooling=gguf.PoolingType.LAST), folder)
    for name in ("gemma3", "llama4", "minimax-m3", "rwkv7", "jamba", "lfm2"):
        yield f"{name}-gpt2", _with(_gpt2, ARCHITECTURES[name].write, folder)


def _with(add: Callable[[gguf.GGUFWriter], None], write: Callable[[Path], None], folder: Path) -> Document:
    with unittest.mock.patch.object(ModelFile.write, "__defaults__", (add,)):
        return _written(write, folder)


def _written(write: Callable[[Path], None], folder: Path) -> Document:
    path = folder / "seed.gguf"
    write(path)
    return parse(path.read_bytes())
