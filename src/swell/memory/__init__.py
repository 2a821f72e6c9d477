"""Probes: what memory there is and who holds it, as the kernel counts it."""
