"""The page of what a task published."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from starlette.testclient import TestClient

from aimass.core.deps import Deps, Runtime
from tests.releasing import run
from tests.ui.made import CHINESE, DAG_ID, HOSTILE, PROJECT, ROWS, MadeRun
from tests.ui.people import ADMIN, THEIRS
from tests.ui.seeding import Seeding

PAGE = "/aimass/pipelines/{dag}/runs/{run}/tasks/{task}/dataset"
Client = Callable[[SimpleAuthManagerUser], TestClient]


def page_of(client: TestClient, task: str, *, dag: str = DAG_ID, run: str = "manual__made", **query: object) -> str:
    answer = client.get(PAGE.format(dag=dag, run=run, task=task), params=query)
    assert answer.status_code == 200, answer.text
    return answer.text


def boxes(page: str) -> list[str]:
    """Return the titles of the boxes of the drawing."""
    return [html.unescape(title) for title in re.findall(r'<text x="12" y="\d+">([^<]*)</text>', page)]


def test_a_dataset_says_what_it_is(stored: MadeRun, reader: TestClient) -> None:
    page = page_of(reader, "split")
    assert f"{ROWS} rows of 6 columns" in page
    assert stored.results["split", -1]["digest"] in page
    assert all(f'class="share {name}"' in page for name in ("train", "validation", "test"))
    assert re.search(r'<span class="tag good">\s*target\s*</span>', page)


def test_columns_carry_the_profile_of_the_same_run(stored: MadeRun, reader: TestClient) -> None:
    page = page_of(reader, "split")
    # A histogram for each column whose values are numbers, bars for the others.
    assert page.count('<svg class="bars"') == 6
    assert "as explore saw it" in page
    assert CHINESE in page
    other = page_of(reader, "featurize")
    assert '<svg class="bars"' not in other
    assert "as explore saw it" not in other


def test_names_and_cells_are_escaped_wherever_they_stand(stored: MadeRun, reader: TestClient) -> None:
    for task in ("split", "clean", "featurize", "explore", "release"):
        page = page_of(reader, task)
        assert "<img src=x" not in page
        assert "<b>基础" not in page
    assert html.escape(HOSTILE) in page_of(reader, "split")


def test_the_lineage_goes_up_and_down(stored: MadeRun, reader: TestClient) -> None:
    page = page_of(reader, "clean")
    assert {"ingest: customers", "join", "split", "clean", "featurize", "train", "optimize", "release"} <= set(
        boxes(page)
    )
    assert "explore" not in boxes(page)
    # Its own box leads nowhere, each other one to its own page.
    linked = [unquote(path) for path in re.findall(r'<a href="([^"]+/dataset[^"]*)">', page)]
    assert PAGE.format(dag=DAG_ID, run="manual__made", task="split") in linked
    assert PAGE.format(dag=DAG_ID, run="manual__made", task="ingest") + "?map_index=0" in linked
    assert not [path for path in linked if "/clean/" in path]
    for path in linked:
        assert reader.get(path).status_code == 200


def test_an_artifact_lists_its_files(stored: MadeRun, reader: TestClient) -> None:
    page = page_of(reader, "release")
    assert "model.onnx" in page
    assert "certificate.json" in page
    assert "/tasks/release/report" in page


def test_an_input_that_was_collected_is_shown_as_gone(stored: MadeRun, reader: TestClient, tmp_path: Path) -> None:
    address = stored.results["ingest", 0]["uri"].removeprefix("file://") + "/manifest.json"
    kept = Path(address).read_bytes()
    Path(address).unlink()
    try:
        assert "gone" in boxes(page_of(reader, "join"))
    finally:
        Path(address).write_bytes(kept)


def test_a_run_that_reused_an_output_says_so_itself(stored: MadeRun, seeding: Seeding, reader: TestClient) -> None:
    again = stored.seed(seeding, "manual__again", age_h=0.5)
    page = page_of(reader, "split", run=again)
    assert f"/runs/{again}/tasks/join/dataset" in page
    assert "/runs/manual__made/" not in page


def test_other_runs_that_used_it_are_drawn(stored: MadeRun, seeding: Seeding, reader: TestClient) -> None:
    seeding.run(DAG_ID, "manual__short", age_h=0.5)
    seeding.task(DAG_ID, "manual__short", "split", result=stored.results["split", -1])
    page = page_of(reader, "split", run="manual__short")
    assert "/runs/manual__made/tasks/clean/dataset" in page
    assert "dataset other" in page


def test_what_was_never_published_is_not_found(stored: MadeRun, seeding: Seeding, reader: TestClient) -> None:
    assert reader.get(PAGE.format(dag=DAG_ID, run="manual__made", task="nothing")).status_code == 404
    assert reader.get(PAGE.format(dag=DAG_ID, run="manual__made", task="plan_1")).status_code == 404
    seeding.task(DAG_ID, "manual__made", "liar", result={"uri": "file:///etc"})
    assert reader.get(PAGE.format(dag=DAG_ID, run="manual__made", task="liar")).status_code == 404


def test_another_pipelines_input_is_named_but_not_told(
    stored: MadeRun, seeding: Seeding, reader: TestClient, tmp_path: Path
) -> None:
    """Whoever may read a DAG learns nothing about the pipeline whose output it reads."""
    others = Deps.from_runtime(Runtime(store=stored.store, project="others"), purpose="test")
    split = stored.results["split", -1]["uri"]
    cleaned = run(others, "clean", dataset=split)
    seeding.dag("aimass_others")
    seeding.run("aimass_others", "manual__1")
    seeding.task("aimass_others", "manual__1", "clean", result=cleaned.model_dump(mode="json"))
    page = page_of(reader, "clean", dag="aimass_others", run="manual__1")
    assert "another pipeline" in html.unescape(page)
    assert "ingest: customers" not in page


class Chained:
    """Incremental reads of a folder of files, each a run."""

    def __init__(self, store: str, folder: Path, seeding: Seeding) -> None:
        self.store, self.folder, self.seeding = store, folder, seeding
        folder.mkdir()

    def read(self, name: str, rows: str) -> str:
        """Read what is there after the file `name` came; return the run's id."""
        run_id = f"manual__{name}"
        (self.folder / f"{name}.csv").write_text(f"number\n{rows}")
        runtime = Runtime(store=self.store, project=PROJECT, run_id=f"{DAG_ID}/{self.folder}/{run_id}")
        source = {"type": "files", "uri": f"{self.folder}/*.csv", "types": {"number": "integer"}}
        config = {"name": "numbers", "source": source, "mode": "incremental", "max_reject_share": 0.9}
        result = run(Deps.from_runtime(runtime, purpose="test"), "ingest", **config)
        self.seeding.run(DAG_ID, run_id)
        self.seeding.task(DAG_ID, run_id, "ingest", result=result.model_dump(mode="json"))
        return run_id


def reads_in(page: str) -> list[list[str]]:
    """Return the cells of the table of reads."""
    table = page.partition('aria-label="Reads of the source"')[2].partition("</table>")[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in table.split("<tr")[2:]]
    return [[html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in row] for row in rows]


def test_the_reads_of_a_source_are_listed(
    stored: MadeRun, seeding: Seeding, reader: TestClient, tmp_path: Path
) -> None:
    chained = Chained(stored.store, tmp_path / "numbers", seeding)
    first, second, third = [chained.read(name, rows) for name, rows in (("a", "1\n2\n"), ("b", "3\n"), ("c", "4\nx\n"))]
    page = page_of(reader, "ingest", run=second)
    assert [[row[0], *row[2:5]] for row in reads_in(page)] == [
        ["2", "1", "4", "1"],
        ["1", "1", "3", "0"],
        ["0", "2", "2", "0"],
    ]
    assert [row[5].partition(": ")[2] for row in reads_in(page)] == ["c.csv", "b.csv", "a.csv"]
    assert [("this one" in row[1]) for row in reads_in(page)] == [False, True, False]
    # Each other one leads to its own page, and the picture shows one step.
    for run_id in (first, third):
        assert f"/runs/{run_id}/tasks/ingest/dataset" in page
    assert boxes(page_of(reader, "ingest", run=third)).count("ingest: numbers") == 2
    assert "每次" in page_of(reader, "ingest", run=third, lang="zh")


def test_the_last_reads_are_enough(
    stored: MadeRun, seeding: Seeding, reader: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chained = Chained(stored.store, tmp_path / "numbers", seeding)
    runs = [chained.read(f"f{number}", f"{number}\n") for number in range(4)]
    monkeypatch.setattr("aimass.ui.reads.MOST_READS", 2)
    page = page_of(reader, "ingest", run=runs[0])
    assert [row[0] for row in reads_in(page)] == ["3", "2", "0"]
    assert "Of 4 reads only the last ones are shown" in page


def test_a_dataset_that_was_read_once_has_a_position_and_no_reads(stored: MadeRun, reader: TestClient) -> None:
    page = page_of(reader, "ingest", map_index=0)
    assert "customers.csv" in page
    assert "Reads of the source" not in page


@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_speaks_both_languages(language: str, stored: MadeRun, reader: TestClient) -> None:
    page = page_of(reader, "split", lang=language)
    assert ("的数据集" in page) == (language == "zh")


def test_another_teams_output_is_refused(stored: MadeRun, seeding: Seeding, reader: TestClient, client: Client) -> None:
    seeding.dag(THEIRS)
    seeding.run(THEIRS, "manual__1")
    seeding.task(THEIRS, "manual__1", "split", result=stored.results["split", -1])
    address = PAGE.format(dag=THEIRS, run="manual__1", task="split")
    assert reader.get(address).status_code == 403
    assert client(ADMIN).get(address).status_code == 200
