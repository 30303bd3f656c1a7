"""What the serving benchmarks share: one model, the servers that answer with it, and the load they get."""
