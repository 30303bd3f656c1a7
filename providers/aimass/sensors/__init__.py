"""Sensors: wait for a server, for drift, for a metric, for new data."""
