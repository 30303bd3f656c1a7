"""Keep scikit-learn estimators as skops files: no code runs when one is read, and equal estimators give equal bytes."""

from __future__ import annotations

import itertools
import json
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

from aimass.core.errors import CorruptDataError

# Everything that the estimators we fit consist of; a file with any other type is refused before it is built.
ALLOWED_TYPES = frozenset(
    {
        "builtins.dict",
        "builtins.list",
        "builtins.str",
        "builtins.tuple",
        "numpy.dtype",
        "numpy.float64",
        "numpy.int64",
        "numpy.ndarray",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.StandardScaler",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._tree.Tree",
    }
)
SCHEMA = "schema.json"
EPOCH = (1980, 1, 1, 0, 0, 0)


def save_estimator(estimator: Any, path: Path) -> None:
    """Write a fitted `estimator` to `path`."""
    _skops().dump(estimator, path)
    _make_reproducible(path)


def load_estimator(path: Path) -> Any:
    """Read what `save_estimator` wrote.

    Raises
    ------
    CorruptDataError
        The file is damaged, or holds a type outside `ALLOWED_TYPES`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            foreign = _types(json.loads(archive.read(SCHEMA))) - ALLOWED_TYPES
        if foreign:
            raise CorruptDataError(
                f"{path.name} holds types that no model of ours has: {', '.join(sorted(foreign))}",
                expected="a model file written by the train stage",
            )
        return _skops().load(path, trusted=sorted(ALLOWED_TYPES))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise CorruptDataError(f"{path.name} is not a skops file: {error}", expected="a model file") from error


def _skops() -> Any:
    """Import skops quietly: to find scipy's functions it asks every loaded module for them, deprecated ones too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import skops.io

    return skops.io


def _make_reproducible(path: Path) -> None:
    """Rewrite the archive with counted names instead of memory addresses, and without the time of writing."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    schema = content.pop(SCHEMA).decode()
    numbers: dict[str, str] = {}
    count = itertools.count(1)

    def renumber(match: re.Match[str]) -> str:
        address = match.group(2)
        if address not in numbers:
            numbers[address] = str(next(count))
        return match.group(1) + numbers[address]

    schema = re.sub(r'("__id__": |"file": ")(\d+)', renumber, schema)
    renamed = {re.sub(r"^\d+", lambda match: numbers[match.group()], name): data for name, data in content.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(renamed):
            _add(archive, name, renamed[name])
        _add(archive, SCHEMA, schema.encode())


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, EPOCH), data, zipfile.ZIP_DEFLATED, compresslevel=1)


def _types(node: Any) -> set[str]:
    """Return the full names of all types that a skops schema mentions."""
    if isinstance(node, list):
        return {name for item in node for name in _types(item)}
    if not isinstance(node, dict):
        return set()
    own = {f"{node['__module__']}.{node['__class__']}"} if "__class__" in node else set()
    return own.union(*(_types(value) for value in node.values()))
