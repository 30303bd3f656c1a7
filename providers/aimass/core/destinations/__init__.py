"""Where a dataset is handed over to others: one file per kind of place."""

from __future__ import annotations

from aimass.core.destinations.base import Destination
from aimass.core.registry import Registry

DESTINATIONS: Registry[type[Destination]] = Registry(
    "destination",
    {
        "files": "aimass.core.destinations.files:FilesDestination",
        "hdfs": "aimass.core.destinations.hdfs:HdfsDestination",
        "obs": "aimass.core.destinations.obs:ObsDestination",
    },
)
