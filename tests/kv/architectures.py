"""What the elastic cache does with each kind of memory: the claims that tests hold it to, as a page of the docs.

python -m tests.kv.architectures > docs/architectures.md
"""

import dataclasses

from tests.tiny import ARCHITECTURES, Architecture, MemoryKind


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """`copied_exactly`: greedy tokens are the same after a move, not only all cells there. `reuse` is what is left of a
    conversation of which only a beginning is wanted: all of that, all of it if the end is near, or nothing."""

    description: str
    copied_exactly: bool
    shrinks: str
    reuse: str


ANY, RECENT, NONE = "any beginning", "beginnings within the window of the end", "whole conversations only"
ROWS = "to the last cell"

CLAIMS = {
    MemoryKind.CAUSAL: Claim(
        description="every token sees all before it", copied_exactly=True, shrinks=ROWS, reuse=ANY
    ),
    MemoryKind.MLA: Claim(description="one latent row per token", copied_exactly=True, shrinks=ROWS, reuse=ANY),
    MemoryKind.SPARSE: Claim(
        description="an index chooses what a token sees", copied_exactly=True, shrinks=ROWS, reuse=ANY
    ),
    MemoryKind.SLIDING: Claim(
        description="most layers see a window",
        copied_exactly=False,
        shrinks="full layers to the last cell, windows when the conversation is dropped",
        reuse=RECENT,
    ),
    MemoryKind.CHUNKED: Claim(
        description="most layers see a chunk",
        copied_exactly=False,
        shrinks="full layers to the last cell, chunks when the conversation is dropped",
        reuse=RECENT,
    ),
    MemoryKind.RECURRENT: Claim(
        description="one state per conversation", copied_exactly=True, shrinks="never; it doesn't grow", reuse=NONE
    ),
    MemoryKind.HYBRID: Claim(
        description="states beside attention",
        copied_exactly=True,
        shrinks="attention to the last cell, states never",
        reuse=NONE,
    ),
}


def claim(architecture: Architecture) -> Claim:
    found = CLAIMS[architecture.memory_kind]
    if architecture.memory_kind is MemoryKind.HYBRID and architecture.window_tokens:
        return dataclasses.replace(
            found, copied_exactly=False, shrinks="windows when the conversation is dropped, states never"
        )
    return found


def page() -> str:
    """The claims as Markdown."""
    rows = [_row(architecture, claim(architecture)) for architecture in ARCHITECTURES.values()]
    return "\n".join(
        [
            "# Kinds of memory",
            "",
            "Swell holds every model's cache in the Reserved store where it can, else in the Copied one; both grow",
            "and shrink. What that means depends on what a model remembers. This page is generated from what the tests",
            "check on small models of these kinds (`python -m tests.kv.architectures > docs/architectures.md`).",
            "",
            "*Exact*: greedy tokens are those of an ordinary cache, over growths and a shrink. *Lossless*: all cells",
            "are there, but llama.cpp puts them back in another order, and sums in another order round differently.",
            "",
            "A conversation that can't be reused from any beginning is reused from its latest checkpoint besides",
            "(`SWELL_CHECKPOINTS`): a state that was saved at the end of its prompt, before its last message, after",
            "its first one, or every 1,024 tokens.",
            "",
            "| architecture | memory | Reserved | Copied | shrinks | a conversation is reused from |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
        ]
    )


def _row(architecture: Architecture, found: Claim) -> str:
    copied = "exact" if found.copied_exactly else "lossless"
    memory = f"{architecture.memory_kind.name.lower()}: {found.description}"
    return f"| {architecture.name} | {memory} | exact | {copied} | {found.shrinks} | {found.reuse} |"


if __name__ == "__main__":
    print(page())
