"""A GGUF file with a header like a real model's, and next to nothing else."""

from collections.abc import Sequence
from pathlib import Path

import gguf

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
VOCABULARY_TOKENS = 300


def write_gguf(
    path: Path,
    *,
    embeds: bool = False,
    template: str | Sequence[dict[str, str]] | None = TEMPLATE,
    tokens: Sequence[str] = (),
) -> Path:
    """A GGUF with a header like a real model's and one tensor. Its vocabulary begins with `tokens`."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    writer.add_context_length(2048)
    writer.add_embedding_length(4)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    writer.add_bool("test.bool", True)
    writer.add_float64("test.float", 0.5)
    writer.add_array("test.numbers", [1, -2, 3])
    writer.add_token_list([*tokens, *(f"token{number}" for number in range(len(tokens), VOCABULARY_TOKENS))])
    if embeds:
        writer.add_pooling_type(gguf.PoolingType.MEAN)
    if template is not None:
        writer.add_chat_template(template)
    writer.add_tensor_info("w.weight", [4, 300], "float32", 4800, gguf.GGMLQuantizationType.F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("ab") as file:
        file.write(bytes(4800 + 32))
    return path
