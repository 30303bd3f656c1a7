"""Sensors: wait for a server, for drift, for a metric."""
