"""From what a model writes to what it means: thoughts, answer and tool calls."""
