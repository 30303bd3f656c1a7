"""Sizes, names and habits that DESIGN §5 sets, checked over every file."""

from __future__ import annotations

import ast
import io
import re
import statistics
import tokenize
from collections.abc import Iterator

import pytest

from tests.architecture.source_tree import ROOT, Module, modules

MODULES = modules()
MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_MEDIAN_FUNCTION_LINES = 10
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
UNSAFE = {"pickle", "cloudpickle", "joblib", "dill"}
PARQUET_READS = {"read_parquet", "scan_parquet", "ParquetFile", "ParquetDataset", "read_schema", "parquet_scan"}
# The one way to rows, and the backend that reads users' own Parquet files, which is opened through the same seam.
PARQUET_READERS = {"providers/aimass/core/datasets.py", "providers/aimass/core/sources/files.py"}

per_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.label)


def functions(module: Module) -> Iterator[tuple[str, int]]:
    """Yield each function's name and its number of lines without the docstring."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node) is not None:
                docstring = node.body[0]
                lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
            yield f"{module.label}:{node.lineno} {node.name}", lines


@per_module
def test_module_is_within_the_wall(module: Module) -> None:
    assert len(module.source.splitlines()) <= MAX_MODULE_LINES


@per_module
def test_functions_are_within_the_wall(module: Module) -> None:
    assert [item for item in functions(module) if item[1] > MAX_FUNCTION_LINES] == []


def test_median_function_is_short() -> None:
    lengths = [lines for module in modules("providers") for _, lines in functions(module)]
    assert statistics.median(lengths) <= MAX_MEDIAN_FUNCTION_LINES


def test_no_room_is_called_after_nothing() -> None:
    paths = [
        path.relative_to(ROOT)
        for folder in ("providers", "dags", "demo", "benchmarks", "tests")
        for path in (ROOT / folder).rglob("*.py")
    ]
    assert [str(path) for path in paths if VAGUE_NAMES & {*path.with_suffix("").parts}] == []


def test_include_holds_data_and_never_python() -> None:
    assert list((ROOT / "include").rglob("*.py")) == []


def test_every_package_folder_has_an_init() -> None:
    """`find:` drops a folder without `__init__.py` from the wheel, silently."""
    folders = {module.path.parent for module in modules("providers")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


@per_module
def test_nothing_is_pickled(module: Module) -> None:
    """Names and literals are looked at; a sentence that explains why there is no pickle may stand."""
    wrong = []
    for token in tokenize.generate_tokens(io.StringIO(module.source).readline):
        literal = token.string.strip("rbfuRBFU").strip("\"'")
        is_name = token.type == tokenize.NAME and token.string in UNSAFE
        is_literal = token.type == tokenize.STRING and (literal in UNSAFE or literal.endswith((".pkl", ".joblib")))
        if is_name or is_literal:
            wrong.append(f"{module.label}:{token.start[0]} {token.string}")
    assert wrong == []


@pytest.mark.parametrize("module", modules("providers"), ids=lambda module: module.label)
def test_rows_are_read_in_one_place(module: Module) -> None:
    """Whatever reads Parquet elsewhere goes around `deps.access`."""
    if module.label in PARQUET_READERS:
        return
    names = {node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
    assert sorted(names & PARQUET_READS) == []
    assert not [item for item in module.imports if item.name.startswith("pyarrow.dataset")]


@per_module
def test_nothing_is_left_for_later(module: Module) -> None:
    assert re.findall(r"\b(TODO|FIXME|XXX|TBD|NotImplementedError)\b", module.source) == []


@pytest.mark.parametrize("module", modules("providers"), ids=lambda module: module.label)
def test_nothing_waits_by_sleeping(module: Module) -> None:
    assert re.findall(r"\btime\.sleep\(", module.source) == []
