"""Swell: a local LLM server whose context window rises and falls with the conversation."""

__version__ = "0.1.0"

OLLAMA_API_VERSION = "0.33.0"
"""The Ollama release whose HTTP contract Swell follows; clients compare it with the minimum they need."""
