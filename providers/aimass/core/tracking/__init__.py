"""Experiment tracking: parameters and metrics while a stage works."""
