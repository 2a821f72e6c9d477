"""Damaged GGUF files, made by the thousand, and what becomes of a runner that loads them.

python -m tests.fuzz --minutes 10
"""
