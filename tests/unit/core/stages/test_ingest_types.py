"""Incremental reads of files, whose types are guessed: what one read guesses must not stop the next ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import DataError, SchemaMismatchError
from aimass.core.stages import STAGES
from aimass.core.stages.ingest import STAGE, IngestResult

NUMBERS = "\n".join(map(str, range(200)))


class Files:
    """A folder that gets another file before each read."""

    def __init__(self, folder: Path, deps: Deps) -> None:
        self.folder = folder
        self.folder.mkdir()
        self.deps = deps
        self.number = 0

    def put(self, text: str, header: str = "n") -> None:
        self.number += 1
        (self.folder / f"{self.number}.csv").write_text(f"{header}\n{text}\n")

    def read(self, text: str, header: str = "n", **more: Any) -> IngestResult:
        self.put(text, header)
        return STAGE.run(STAGE.parse(self.document(**more)), self.surroundings())

    def document(self, *, source: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        where = {"type": "files", "uri": f"{self.folder}/*.csv", **(source or {})}
        return {"name": "t", "source": where, "mode": "incremental", **more}

    def surroundings(self) -> Deps:
        run = f"run-{self.number}"
        return replace(self.deps, runtime=self.deps.runtime.model_copy(update={"run_id": run}))

    def rows(self, result: IngestResult) -> pl.DataFrame:
        return open_dataset(result.uri, self.deps).read()


@pytest.fixture
def files(tmp_path: Path, deps: Deps) -> Files:
    return Files(tmp_path / "in", deps)


def test_types_stay_those_that_were_guessed_first(files: Files) -> None:
    header = "code,price,note"
    files.read("A1,1.5,7", header)
    files.read("007,2,", header)
    files.read("8,3,9", header)
    last = files.read("9,4,10", header)
    assert last.link == 3
    assert files.rows(last).rows() == [("A1", 1.5, 7), ("007", 2.0, None), ("8", 3.0, 9), ("9", 4.0, 10)]
    with pytest.raises(SchemaMismatchError, match="'price' do not fit"):
        files.read(f"8,{2**53 + 1},9", header)


def test_a_word_among_numbers_is_kept_aside(files: Files) -> None:
    files.read(NUMBERS)
    with_word = files.read(f"{NUMBERS}\nabc")
    assert (with_word.rows, with_word.rejected) == (400, 1)
    assert with_word.reject_examples == ["2.csv:202: column n: not int64"]
    assert (files.read("7").rows, files.rows(with_word)["n"].dtype) == (401, pl.Int64)


def test_words_instead_of_numbers_are_too_many(files: Files) -> None:
    files.read(NUMBERS)
    with pytest.raises(DataError, match="1 of 1 rows do not fit: column n: not int64"):
        files.read("abc")


def test_fractions_among_whole_numbers_are_a_wider_type(files: Files) -> None:
    files.read("1\n2")
    with pytest.raises(SchemaMismatchError, match="widened n: int64 → double") as caught:
        files.read("1.5")
    assert "`on_widened_type: accept`" in str(caught.value)
    wider = files.read("3", on_widened_type="accept")
    assert files.rows(wider)["n"].to_list() == [1.0, 2.0, 1.5, 3.0]
    assert files.rows(files.read("4"))["n"].to_list() == [1.0, 2.0, 1.5, 3.0, 4.0]


def test_whole_numbers_that_no_double_holds_stay(files: Files) -> None:
    files.read(f"{2**53 + 1}\n1")
    with pytest.raises(SchemaMismatchError, match=f"earlier rows have whole numbers up to {2**53 + 1}"):
        files.read("1.5", on_widened_type="accept")


def test_a_type_that_is_set_later_goes_on(files: Files) -> None:
    files.read("1\n2")
    with pytest.raises(DataError, match="do not fit"):
        files.read("abc", source={"types": {"n": "integer"}})
    allowed = {"source": {"types": {"n": "integer"}}, "max_reject_share": 1.0}
    assert (files.read("3", **allowed).rows, files.rows(files.read("4", **allowed))["n"].to_list()) == (3, [1, 2, 3, 4])
    with pytest.raises(SchemaMismatchError, match="'n' has become large_string"):
        files.read("5", source={"types": {"n": "string"}})


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [("8\nabc", "9\n10\n11", [7, 8, 9, 10, 11]), ("1.5", "4\n5\n6", [7.0, 1.5, 4.0, 5.0, 6.0])],
    ids=["word", "fraction"],
)
def test_pieces_go_on_alike(files: Files, one: str, other: str, found: list[float]) -> None:
    files.read("7")
    files.put(one)
    files.put(other)
    document = files.document(on_widened_type="accept", max_reject_share=0.5)
    stage = STAGES.load("ingest_plan")
    plan = stage.run(stage.parse({"ingest": document, "count": 2}), files.surroundings())
    pieces = [STAGE.run(STAGE.parse(config), files.surroundings()).uri for config in plan.configs]
    assert len(pieces) == 2
    stage = STAGES.load("ingest_gather")
    gathered = stage.run(stage.parse({"ingest": document, "pieces": pieces}), files.surroundings())
    assert files.rows(gathered)["n"].to_list() == found


@pytest.mark.parametrize(
    ("change", "told"),
    [({"source": {"null_values": ["-"]}}, "null_values"), ({"keep": "new"}, "keep"), ({}, None)],
    ids=["option", "keep", "nothing"],
)
def test_who_begins_anew_is_told(
    files: Files, change: dict[str, Any], told: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    files.read("1\n2")
    files.read("3")
    files.read("4", **change)
    warnings = [record.getMessage() for record in caplog.records]
    expected = [f"Earlier reads of 't' (3 rows) had other settings: {told}."] if told else []
    assert [text.partition(" This one")[0] for text in warnings] == expected
