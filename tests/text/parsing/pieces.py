"""Outputs in pieces, as tokens cut them."""

import itertools

from hypothesis import strategies as st


def cut(output: str) -> st.SearchStrategy[list[str]]:
    """Pieces of which `output` is made up; some may be empty."""
    cuts = st.lists(st.integers(0, len(output)), max_size=12).map(sorted)
    return cuts.map(lambda places: [output[start:end] for start, end in itertools.pairwise([0, *places, len(output)])])
