"""The HTTP endpoints and everything that is only about HTTP."""
