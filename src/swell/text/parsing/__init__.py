"""Takes a model's text apart: thoughts, answer and tool calls."""
