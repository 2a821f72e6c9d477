"""llama.cpp, thinly wrapped: the only package that calls into it.

Return codes become typed exceptions (`swell.errors`), and every handle is freed exactly once. A context must be
closed before its model; both are context managers.
"""
