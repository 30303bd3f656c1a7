"""Feature transforms: one file each, with three faces (fit, polars, ONNX) behind one protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aimass.core.registry import Registry

if TYPE_CHECKING:
    # `base` imports polars, which a server does without.
    from aimass.core.features.base import Transform

FEATURES: Registry[type[Transform]] = Registry(
    "feature",
    {
        "fill": "aimass.core.features.fill:Fill",
        "clip": "aimass.core.features.clip:Clip",
        "log": "aimass.core.features.log:Log",
        "scale": "aimass.core.features.scale:Scale",
        "one_hot": "aimass.core.features.one_hot:OneHot",
        "ordinal": "aimass.core.features.ordinal:Ordinal",
        "frequency": "aimass.core.features.frequency:Frequency",
        "date_parts": "aimass.core.features.date_parts:DateParts",
    },
)
