"""Write the table of models in docs/which-model.md from their published shapes.

`python scripts/write_sizes.py` writes it, `--check` fails if it isn't up to date.
"""

from typing import NamedTuple

from written_part import keep

WINDOWS = (8192, 32768, 131072)
OTHER_BYTES = 200e6
"""What the process of a model takes beside weights and cache, and room to compute in."""


class Shape(NamedTuple):
    """A model as its publishers describe it; `file_bytes` is the size of the file that its name pulls."""

    name: str
    file_bytes: float
    layers: int
    kv_heads: int
    head: int
    trained_tokens: int

    @property
    def token_bytes(self) -> int:
        """K and V of one token in f16."""
        return self.layers * self.kv_heads * self.head * 2 * 2


MODELS = (
    Shape("qwen3:0.6b", 0.52e9, 28, 8, 128, 40960),
    Shape("llama3.2:1b", 1.3e9, 16, 8, 64, 131072),
    Shape("qwen3:1.7b", 1.4e9, 28, 8, 128, 40960),
    Shape("llama3.2:3b", 2.0e9, 28, 8, 128, 131072),
    Shape("llama3.1:8b", 4.9e9, 32, 8, 128, 131072),
    Shape("qwen3:8b", 5.2e9, 36, 8, 128, 40960),
    Shape("qwen3:14b", 9.3e9, 40, 8, 128, 40960),
    Shape("qwen3-coder:30b", 19e9, 48, 4, 128, 262144),
    Shape("qwen3:32b", 20e9, 64, 8, 128, 40960),
)


def table() -> str:
    """A row for each model: its file, a token's cells, and the memory it takes with one conversation of some length."""
    header = ("model", "file", "a token", *(f"{tokens // 1024}k tokens" for tokens in WINDOWS))
    lines = [header, ("---", *["---:"] * (len(header) - 1))]
    for shape in MODELS:
        cells = (
            f"{(shape.file_bytes + OTHER_BYTES + shape.token_bytes * tokens) / 1e9:.1f} GB"
            if tokens <= shape.trained_tokens
            else "-"
            for tokens in WINDOWS
        )
        lines.append(
            (f"`{shape.name}`", f"{shape.file_bytes / 1e9:.1f} GB", f"{shape.token_bytes // 1024} KiB", *cells)
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    keep("which-model.md", "table", "write_sizes.py", f"\n{table()}\n")
