"""Cleaning steps: one file each, behind one protocol."""

from __future__ import annotations

from aimass.core.cleaning.base import CleanStep
from aimass.core.registry import Registry

CLEANING: Registry[type[CleanStep]] = Registry(
    "cleaning",
    {
        "types": "aimass.core.cleaning.types:Types",
        "missing": "aimass.core.cleaning.missing:Missing",
        "duplicates": "aimass.core.cleaning.duplicates:Duplicates",
        "outliers": "aimass.core.cleaning.outliers:Outliers",
    },
)
"""Besides these, every feature transform that replaces its columns' values (fill, clip …) is a cleaning step too."""
