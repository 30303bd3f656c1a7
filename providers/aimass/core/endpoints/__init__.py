"""Running inference servers as the rest of the house sees them: what they report, and how they are asked."""

from __future__ import annotations

from aimass.core.endpoints.base import Endpoint
from aimass.core.registry import Registry

ENDPOINTS: Registry[type[Endpoint]] = Registry(
    "endpoint",
    {
        "http": "aimass.core.endpoints.http:HttpEndpoint",
        "memory": "aimass.core.testing.endpoints:MemoryEndpoint",
    },
)
