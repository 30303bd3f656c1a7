"""Where a stage runs: in this process, and later in pods, Spark jobs and MPI ranks."""

from __future__ import annotations

from aimass.core.compute.base import Compute
from aimass.core.registry import Registry

COMPUTES: Registry[type[Compute]] = Registry("compute", {"local": "aimass.core.compute.local:LocalCompute"})
