"""A long run of random requests and faults: `make soak`."""
