"""Code in the guides is cut out of files that the tests run; `python -m tests.unit.demo.test_docs` cuts anew."""

from __future__ import annotations

import ast
import builtins
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = ("rest.md", "own-dag.md")
MARK = re.compile(r"<!-- cut from (?P<file>\S+): (?P<part>\w+) -->\n\n(?:```python\n(?P<code>.*?)```\n)?", re.DOTALL)
SNIPPET = re.compile(r"```python\n(.*?)```", re.DOTALL)


def cut(file: str, part: str) -> str:
    """Return the marked part of an example."""
    text = (DOCS / file).read_text()
    return text.split(f"# [start {part}]\n")[1].split(f"# [end {part}]")[0].strip() + "\n"


def renewed(page: str) -> str:
    """Return the page with every snippet as it stands in its file."""
    return MARK.sub(
        lambda found: (
            f"<!-- cut from {found['file']}: {found['part']} -->\n\n```python\n{cut(found['file'], found['part'])}```\n"
        ),
        (DOCS / page).read_text(),
    )


@pytest.mark.parametrize("page", PAGES)
def test_snippets_are_what_the_tested_files_say(page: str) -> None:
    assert MARK.search((DOCS / page).read_text())
    assert (DOCS / page).read_text() == renewed(page)


@pytest.mark.parametrize("page", ["serving.md", "monitoring.md", "rules.md", "runbook.md", "airflow.md"])
def test_snippets_use_no_name_that_the_page_does_not_introduce(page: str) -> None:
    text = (DOCS / page).read_text()
    nodes = [node for code in SNIPPET.findall(text) for node in ast.walk(ast.parse(code))]
    names = [node for node in nodes if isinstance(node, ast.Name)]
    imported = {
        alias.asname or alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    known = {*dir(builtins), *imported, *(name.id for name in names if isinstance(name.ctx, ast.Store))}
    assert {name.id for name in names} <= known


if __name__ == "__main__":
    for name in PAGES:
        (DOCS / name).write_text(renewed(name))
