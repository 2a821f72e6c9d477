"""The pages of the documents, and what is fenced in them; what that means is in docs/contributing.md."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
RUN = ("sh", "console", "python", "modelfile")
SHOWN = ("text", "yaml", "mermaid")

_FENCE = re.compile(
    r"(?:^<!-- (?P<comment>(?:not )?run:.*) -->\n)?^```(?P<language>.*)\n(?P<text>(?:.*\n)*?)```$", re.MULTILINE
)
_STAYS, _NOT_RUN = "run: stays", "not run: "


class Block(NamedTuple):
    """Something fenced: where it stands, its language, and the comment before it, if that is about running it."""

    page: str
    line: int
    language: str
    comment: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def stays(self) -> bool:
        """Whether its last command goes on until the page's end."""
        return self.comment == _STAYS

    @property
    def reason(self) -> str:
        """Why CI doesn't run it; empty if it does."""
        return self.comment.removeprefix(_NOT_RUN) if self.comment.startswith(_NOT_RUN) else ""

    @property
    def runs(self) -> bool:
        return self.language in RUN and not self.reason


def pages() -> list[str]:
    """README.md and the pages of the site, by their paths below the project's folder."""
    return ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]


def blocks(page: str) -> list[Block]:
    """All that is fenced in a page, from top to bottom."""
    text = (ROOT / page).read_text()
    return [
        Block(
            page,
            text.count("\n", 0, match.start("language")) + 1,
            match["language"],
            match["comment"] or "",
            match["text"],
        )
        for match in _FENCE.finditer(text)
    ]
