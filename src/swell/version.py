"""Swell's version, and that of the API it speaks."""

__version__ = "0.1.0"

OLLAMA_API_VERSION = "0.33.0"
"""The Ollama release whose HTTP contract Swell follows; clients compare it with the minimum they need."""
