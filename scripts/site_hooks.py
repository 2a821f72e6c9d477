"""What MkDocs doesn't do by itself: pages that lie outside docs/, and flow charts that need no script."""

from pathlib import Path
from typing import Any

from flow_chart import drawn
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Draw fenced blocks of Mermaid, which GitHub shows as pictures, too."""
    fence = {"name": "mermaid", "class": "mermaid", "format": _picture}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The first page is README.md, and the last one CHANGELOG.md: with links as they are in docs/."""
    pages = {"index.md": "README.md", "changes.md": "CHANGELOG.md"}
    for page, name in pages.items():
        text = (ROOT / name).read_text().replace("](docs/", "](").replace("](CHANGELOG.md", "](changes.md")
        files.append(File.generated(config, page, content=text))
    return files


def _picture(source: str, *_: Any, **__: Any) -> str:
    return drawn(source)
