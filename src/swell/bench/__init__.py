"""Measurements of the KV cache, side by side: `swell bench kv`. Every configuration has a process of its own."""
