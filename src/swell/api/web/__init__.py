"""The dashboard: a page for browsers, and the files that it consists of."""
