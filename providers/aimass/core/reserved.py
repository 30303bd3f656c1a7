"""Values that no real cell may hold."""

from __future__ import annotations

NULL_STRING = "\u0000null"
"""Stands for a missing string where a format has no null (ONNX tensors); refused at ingest and by the server."""
