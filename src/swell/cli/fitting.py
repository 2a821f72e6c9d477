"""Texts made fit for a line of a terminal. Pure functions."""

from rich.cells import cell_len, set_cell_size


def fitted(text: str, columns: int) -> str:
    """`text`, cut if it takes more columns."""
    return text if cell_len(text) <= columns else set_cell_size(text, max(columns, 0))


def visible(text: str) -> str:
    """`text` without what would move the cursor."""
    return "".join(character if character.isprintable() else " " for character in text)
