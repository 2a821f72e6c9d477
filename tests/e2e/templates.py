"""The real model with another chat template: whatever the format, something writes it."""

from pathlib import Path

from swell.models.gguf import read_header

_TURNS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)

THINKS = _TURNS + "{% if enable_thinking %}<think>\n{% endif %}{# </think> #}"
"""Opens the tag in the prompt. The tags aren't tokens of the vocabulary but come in pieces."""

CALLS = "<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n" + _TURNS
"""Tells of tools, and marks calls in no way."""

THINKS_AND_CALLS = CALLS + "{# <think></think> #}"
"""Leaves it to the model to open the tag."""


def write_with_template(source: Path, target: Path, template: str) -> str:
    """Copies the model in `source` with its chat template replaced; returns the copy's name for requests.

    The new template is filled up to the length of the old one, so that nothing else in the file moves.
    """
    old = str(read_header(source).metadata["tokenizer.chat_template"]).encode()
    comment = "{#" + "#}"
    room = len(old) - len(template.encode()) - len(comment)
    assert room >= 0, "the template is too long"
    data = source.read_bytes()
    assert data.count(old) == 1
    target.write_bytes(data.replace(old, (template + "{#" + " " * room + "#}").encode()))
    return str(target)
