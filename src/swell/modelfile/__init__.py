"""Modelfiles: their grammar, read and written. Knows no model, so that commands may use it."""
