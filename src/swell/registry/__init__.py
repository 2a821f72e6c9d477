"""Pulling and pushing models by the protocol of container registries, each in a process of its own."""
