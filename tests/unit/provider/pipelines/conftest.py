from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = """\
name: shop
description: Who comes back?
sources:
  orders: {type: files, uri: /data/orders.csv}
  people: {type: files, uri: /data/people.csv}
join:
  - {table: people, on: [person], prefix: p_}
where: amount > 1e-3
id: person
time: day
target: {name: back, expr: visits > 1, null: drop}
train: {seed: 3, models: [{type: logistic_regression}]}
optimize: {rounds: 2, trials: 4}
release:
"""


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_file(text: str, name: str = "shop.yaml") -> Path:
        path = tmp_path / "pipelines" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_file
