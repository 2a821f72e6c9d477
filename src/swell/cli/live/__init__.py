"""Loaded models as they rise and fall: `top`, and what `ps` says again and again."""
