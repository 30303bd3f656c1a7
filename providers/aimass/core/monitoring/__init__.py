"""Watching a model in use: what it was asked, how far that is from what it learned, and how good its answers were."""
