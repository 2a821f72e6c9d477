"""Swell: a local LLM server whose context window rises and falls with the conversation.

What programs may use is listed in `__all__`; everything else may change at any time. Other languages, and programs that
don't start a server themselves, use the HTTP API.
"""

from typing import TYPE_CHECKING, Any

from swell.version import OLLAMA_API_VERSION, __version__

if TYPE_CHECKING:
    from swell.serve import Server
    from swell.settings import Settings

__all__ = ["OLLAMA_API_VERSION", "Server", "Settings", "__version__"]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and only then: the commands must not wait for the server's modules."""
    if name == "Server":
        from swell.serve import Server

        return Server
    if name in ("Settings"):
        from swell import settings

        return getattr(settings, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
