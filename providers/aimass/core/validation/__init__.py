"""Expectations on data: a suite made from an exploration, edited by people, run by Great Expectations."""
