"""A fleet: one front, and replicas on many machines, each with a scheduler and runners of its own."""
