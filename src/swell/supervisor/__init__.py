"""A runner's process, as the server sees it."""
