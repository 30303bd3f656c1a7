"""A new model from a file of one's own: the upload, the questions, what is wrong with the answers, the run."""

from __future__ import annotations

import random
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from aimass.pipelines.forms.dags import form_dags
from tests.ui.seeding import BUNDLE, Seeding

DAG_ID = "aimass_train_file"
HOSTILE = "<img src=x onerror=alert(1)>"


def customers(rows: int = 300) -> str:
    draw = random.Random(3)
    lines = [f"编号,日期,年龄,{HOSTILE},流失"]
    for number in range(rows):
        age = draw.randint(18, 80)
        left = "是" if draw.random() < 0.2 + 0.4 * (age < 40) else "否"
        lines.append(f"C{number},2026-{draw.randint(1, 9):02}-{draw.randint(1, 28):02},{age},{HOSTILE},{left}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def startable(seeding: Seeding, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Seeding:
    seeding.dag(DAG_ID)
    return seeding


def upload(user: TestClient, content: bytes, name: str = "客户.csv") -> str:
    answer = user.post("/aimass/new", files={"upload": (name, content)})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def answers(user: TestClient, address: str, **changed: str) -> dict[str, str]:
    """Return what a browser would send for the form at `address`, with `changed` fields."""
    page = user.get(address).text
    form = page.split('<form method="post"')[1]
    fields = dict(re.findall(r'<input type="(?:hidden|text|number)"[^>]* name="([^"]+)" value="([^"]*)"', form))
    for name, options in re.findall(r'<select (?:id="[^"]*" )?name="([^"]+)"(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        fields[name] = chosen[1] if chosen else ""
    ticked = re.findall(r'<input type="checkbox"[^>]*name="([^"]+)" value="([^"]+)" checked', form)
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return {**fields, **dict(ticked), **dict(hidden), **changed}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_columns_are_shown_however_the_file_is_spelt(startable: Seeding, user: TestClient, encoding: str) -> None:
    page = user.get(upload(user, customers().encode(encoding))).text
    for column in ("编号", "日期", "年龄", "流失"):
        assert f'<th scope="row">{column}</th>' in page
    assert HOSTILE not in page
    assert "流失 (" in page
    assert user.get("/aimass/new").status_code == 200


def test_semicolons_are_found(startable: Seeding, user: TestClient) -> None:
    page = user.get(upload(user, customers().replace(",", ";").encode())).text
    assert '<th scope="row">年龄</th>' in page


def test_the_same_file_is_kept_once(startable: Seeding, user: TestClient, tmp_path: Path) -> None:
    first, second = (upload(user, customers().encode()) for _ in range(2))
    assert first == second
    assert len([path for path in (tmp_path / "store" / "uploads").rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("empty.csv", b"", "is empty"),
        ("noise.parquet", b"not parquet at all", "noise.parquet"),
        ("header.csv", b"a,b\n", "header.csv"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    startable: Seeding, user: TestClient, name: str, content: bytes, told: str
) -> None:
    answer = user.post("/aimass/new", files={"upload": (name, content)})
    if answer.status_code == 303:
        answer = user.get(answer.headers["location"])
        answer = user.post("/aimass/new/file", data=answers(user, str(answer.url.raw_path.decode()), target="0"))
    assert answer.status_code == 422
    assert told in answer.text


def test_a_path_outside_the_allowed_roots_is_refused(startable: Seeding, user: TestClient, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    for path in (str(tmp_path / "secret.csv"), (tmp_path / "store" / "uploads" / ".." / ".." / "secret.csv").as_uri()):
        answer = user.post("/aimass/new", data={"path": path})
        assert answer.status_code == 422
        assert "allowed_roots" in answer.text
        assert user.get("/aimass/new/file", params={"file": path}).status_code == 422


def test_nothing_is_no_file(startable: Seeding, user: TestClient) -> None:
    assert user.post("/aimass/new", data={"path": " "}).status_code == 422


def test_a_file_beyond_the_limit_is_refused(
    startable: Seeding, user: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__AIMASS__UPLOAD_LIMIT_MB", "1")
    answer = user.post("/aimass/new", files={"upload": ("big.csv", b"x" * 1_100_000)})
    assert answer.status_code == 422
    assert "upload_limit_mb" in answer.text
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_who_may_not_trigger_may_not_upload(startable: Seeding, reader: TestClient) -> None:
    assert reader.get("/aimass/new").status_code == 403
    assert reader.post("/aimass/new", files={"upload": ("a.csv", b"a\n1\n")}).status_code == 403


def test_an_airflow_without_the_dag_says_how_to_get_it(seeding: Seeding, user: TestClient) -> None:
    answer = user.get("/aimass/new")
    assert answer.status_code == 404
    assert "airflow aimass init" in answer.text
    assert user.get("/aimass/new/nonsense").status_code == 404


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"target": ""}, "target-mistake"),
        ({"target": "2"}, "target-mistake"),
        ({"target": "4", "name": "客户"}, "name-mistake"),
        ({"target": "4", "trials": "many"}, "trials-mistake"),
        ({"target": "4", "validation_share": "0.8", "test_share": "0.8"}, "test_share-mistake"),
        ({"target": "4", "role.0": "out", "role.1": "out", "role.2": "out", "role.3": "out"}, "columns-mistake"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(
    startable: Seeding, user: TestClient, changed: dict[str, str], told: str
) -> None:
    address = upload(user, customers().encode())
    answer = user.post("/aimass/new/file", data=answers(user, address, **changed))
    assert answer.status_code == 422
    assert f'id="{told}"' in answer.text, re.findall(r'class="mistake"[^<]*<?[^<]*', answer.text)
    assert HOSTILE not in answer.text


def test_a_run_starts_as_airflow_starts_it(startable: Seeding, user: TestClient) -> None:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    startable.serialize(form_dags()[DAG_ID], BUNDLE)
    address = upload(user, customers().encode("gb18030"))
    answer = user.post("/aimass/new/file", data=answers(user, address, target="4", name="churn"))
    assert answer.status_code == 303, answer.text
    run_id = parse_qs(urlsplit(answer.headers["location"]).query)["run"][0]
    run = startable.session.scalar(select(DagRun).where(DagRun.run_id == run_id))
    assert run is not None
    assert run.conf["target"] == "流失"
    assert run.conf["encoding"] == "gb18030"
    assert run.conf["id_columns"] == ["编号"]
    assert run.conf["time_column"] == "日期"
    assert run.conf["approval"] is True
    assert run.triggering_user_name == "uma"
