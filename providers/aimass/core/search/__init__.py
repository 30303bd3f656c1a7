"""Hyper-parameter search: strategies that propose, and the study that keeps what was proposed and found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aimass.core.registry import Registry

if TYPE_CHECKING:
    from aimass.core.search.base import SearchStrategy

SEARCHES: Registry[type[SearchStrategy]] = Registry(
    "search",
    {
        "tpe": "aimass.core.search.tpe:TPESearch",
        "random": "aimass.core.search.random:RandomSearch",
    },
)
