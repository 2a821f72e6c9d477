"""Swell: a local LLM server whose context window rises and falls with the conversation.

What programs may use is listed in `__all__`; everything else may change at any time. Other languages, and programs that
don't start a server themselves, use the HTTP API.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swell.serve import Server
    from swell.settings import HostAddress, Settings

__all__ = ["OLLAMA_API_VERSION", "HostAddress", "Server", "Settings", "__version__"]

__version__ = "0.1.0"

OLLAMA_API_VERSION = "0.33.0"
"""The Ollama release whose HTTP contract Swell follows; clients compare it with the minimum they need."""


def __getattr__(name: str) -> Any:
    """Import what is asked for, and only then: the commands must not wait for the server's modules."""
    if name == "Server":
        from swell.serve import Server

        return Server
    if name in ("HostAddress", "Settings"):
        from swell import settings

        return getattr(settings, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
