"""How rows are given to training, validation and test: one file per rule."""

from __future__ import annotations

from aimass.core.registry import Registry
from aimass.core.splitting.base import Splitter

SPLITTERS: Registry[type[Splitter]] = Registry(
    "splitter",
    {
        "time": "aimass.core.splitting.time:TimeSplitter",
        "group": "aimass.core.splitting.group:GroupSplitter",
        "stratified": "aimass.core.splitting.stratified:StratifiedSplitter",
        "random": "aimass.core.splitting.random:RandomSplitter",
        "k_fold": "aimass.core.splitting.k_fold:KFoldSplitter",
    },
)
