"""The elastic KV cache: policy as pure functions, and the stores that carry it out."""
