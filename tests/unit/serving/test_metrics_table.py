"""The guide's table has every metric that a server exports, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from aimass.serving.metrics import Metrics
from aimass.serving.vitals import Vitals

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "serving.md"


def test_the_guide_has_every_metric() -> None:
    exported = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for registry in (Metrics().registry, Vitals().registry)
        for family in registry.collect()
    }
    lines = [line for line in GUIDE.read_text().splitlines() if line.startswith("| `aimass_")]
    assert {name for line in lines for name in re.findall(r"`(aimass_\w+)`", line)} == exported
