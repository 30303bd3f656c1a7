"""The checkout as the architecture tests see it: modules, their syntax trees and what they import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "providers" / "aimass"
# Folders with Python that the project ships or runs; tests have rules of their own.
CODE = ("providers", "dags", "demo", "benchmarks", "scripts", "plugins")


@dataclass(frozen=True)
class Import:
    """One imported name and where it stands."""

    name: str
    line: int
    at_top: bool
    """Whether it runs when the module is imported (not in a function, not for type checkers only)."""
    for_types: bool
    """Whether it stands under `if TYPE_CHECKING`."""


@dataclass(frozen=True)
class Module:
    """One Python file of the checkout."""

    path: Path

    @property
    def label(self) -> str:
        """The path from the root, as an error message names it."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def name(self) -> str:
        """The dotted name under which it is imported."""
        base = PACKAGE.parent if self.path.is_relative_to(PACKAGE) else ROOT
        parts = self.path.relative_to(base).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def source(self) -> str:
        """The text of the file."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of the file."""
        return ast.parse(self.source, str(self.path))

    @cached_property
    def imports(self) -> list[Import]:
        """Every import of the file, wherever it stands."""
        return list(_imports(self.tree, at_top=True, for_types=False))


def _imports(node: ast.AST, *, at_top: bool, for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, at_top, for_types)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                yield Import(f"{child.module}.{alias.name}", child.lineno, at_top, for_types)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for inner in child.body:
                yield from _imports(ast.Module([inner], []), at_top=False, for_types=True)
        else:
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, at_top=at_top and not is_function, for_types=for_types)


def modules(*folders: str) -> list[Module]:
    """Return the modules under `folders` (default: everything the project ships or runs)."""
    found = []
    for folder in folders or CODE:
        found += [Module(path) for path in sorted((ROOT / folder).rglob("*.py")) if "__pycache__" not in path.parts]
    return found
