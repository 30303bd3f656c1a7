"""Sizes, names and habits that DESIGN §5 sets, checked over every file."""

from __future__ import annotations

import ast
import io
import re
import statistics
import tokenize
from collections.abc import Iterator

from tests.architecture.source_tree import ROOT, Module, modules

MODULES = modules()
MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_MEDIAN_FUNCTION_LINES = 10
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
UNSAFE = {"pickle", "cloudpickle", "joblib", "dill"}
PARQUET_READS = {"read_parquet", "scan_parquet", "ParquetFile", "ParquetDataset", "read_schema", "parquet_scan"}
# The one way to rows, and the source that reads users' own Parquet files, which is opened through the same seam.
PARQUET_READERS = {"providers/aimass/core/datasets.py", "providers/aimass/core/sources/columnar.py"}
# Airflow's REST API has no call that blocks until a run ends: whoever follows a run must ask again and again.
POLLERS = {"providers/aimass/cli/runs.py"}


def functions(module: Module) -> Iterator[tuple[str, int]]:
    """Yield each function's name and its number of lines without the docstring."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node) is not None:
                docstring = node.body[0]
                lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
            yield f"{module.label}:{node.lineno} {node.name}", lines


def test_modules_are_within_the_wall() -> None:
    lengths = {module.label: len(module.source.splitlines()) for module in MODULES}
    assert {label: length for label, length in lengths.items() if length > MAX_MODULE_LINES} == {}


def test_functions_are_within_the_wall() -> None:
    found = [item for module in MODULES for item in functions(module)]
    assert [item for item in found if item[1] > MAX_FUNCTION_LINES] == []


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


def unsafe_tokens(module: Module) -> Iterator[str]:
    """Yield names and literals that stand for a pickle; a sentence that explains why there is none may stand.

    So may the literals of the contract tests, which look for pickles in what others wrote.
    """
    may_look = module.name.startswith("aimass.core.testing")
    for token in tokenize.generate_tokens(io.StringIO(module.source).readline):
        literal = token.string.strip("rbfuRBFU").strip("\"'")
        is_name = token.type == tokenize.NAME and token.string in UNSAFE
        is_literal = token.type == tokenize.STRING and (literal in UNSAFE or literal.endswith((".pkl", ".joblib")))
        if is_name or (is_literal and not may_look):
            yield f"{module.label}:{token.start[0]} {token.string}"


def test_nothing_is_pickled() -> None:
    assert [token for module in MODULES for token in unsafe_tokens(module)] == []


def test_rows_are_read_in_one_place() -> None:
    """Whatever reads Parquet elsewhere goes around `deps.access`."""
    wrong = []
    for module in modules("providers"):
        names = {node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
        names |= {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
        names |= {item.name for item in module.imports if item.name.startswith("pyarrow.dataset")}
        reads = {name for name in names if name in PARQUET_READS or name.startswith("pyarrow.dataset")}
        if reads and module.label not in PARQUET_READERS:
            wrong.append(f"{module.label}: {', '.join(sorted(reads))}")
    assert wrong == []


def test_nothing_is_left_for_later() -> None:
    """`@abstractmethod` and Protocol say what is missing; the code holds no promise."""
    promise = re.compile(r"\b(TODO|FIXME|XXX|TBD|NotImplementedError)\b")
    assert [f"{module.label}: {hit}" for module in MODULES for hit in promise.findall(module.source)] == []


def test_nothing_waits_by_sleeping() -> None:
    sleepers = {module.label for module in modules("providers") if re.search(r"\btime\.sleep\(", module.source)}
    assert sleepers - POLLERS == set()
