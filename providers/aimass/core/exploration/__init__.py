"""What a dataset's columns look like, how they hang together, and which of them know too much."""
