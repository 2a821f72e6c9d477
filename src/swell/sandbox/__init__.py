"""Runs chat templates and checks JSON schemas, which come from strangers, in processes with limits."""
