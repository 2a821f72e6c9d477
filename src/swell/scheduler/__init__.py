"""Which models are loaded, and where."""
