"""The check of a trigger's conf, before a tiny app that tells what reached it, and before Airflow's own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from starlette.testclient import TestClient

from aimass.pipelines.forms import form_dag_id
from aimass.pipelines.forms.check import Mistake
from aimass.pipelines.forms.dags import form_dag
from aimass.ui.trigger_check import MAX_BODY_BYTES, TriggerCheck
from tests.ui.seeding import Seeding

PATH = "/api/v2/dags/aimass_train_file/dagRuns"
WRONG = [Mistake("target", "there is no column 'x'"), Mistake("", "too late")]


class Behind:
    """An app that answers with what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def asked() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def tiny(behind: Behind, asked: list[tuple[str, dict[str, Any]]]) -> TestClient:
    async def check(request: Request, dag_id: str, conf: dict[str, Any]) -> list[Mistake]:
        asked.append((dag_id, conf))
        if conf.get("target") == "boom":
            raise RuntimeError("a bug")
        return WRONG if conf.get("target") == "x" else []

    return TestClient(TriggerCheck(behind, check))


def test_a_wrong_conf_is_answered_with_every_mistake(tiny: TestClient, behind: Behind) -> None:
    answer = tiny.post(PATH, json={"logical_date": None, "conf": {"target": "x"}})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "Target column: there is no column 'x'\ntoo late"
    assert answer.json()["mistakes"] == [one._asdict() for one in WRONG]
    assert behind.bodies == []


@pytest.mark.parametrize("conf", [{"target": "流失"}, {"target": "boom"}, {}])
def test_a_good_conf_and_a_bug_of_ours_pass_with_the_body_whole(
    tiny: TestClient, behind: Behind, conf: dict[str, Any]
) -> None:
    body = json.dumps({"logical_date": None, "conf": conf}).encode()
    assert tiny.post(PATH, content=body).status_code == 200
    assert behind.bodies == [body]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", PATH, b""),
        ("PATCH", PATH, b'{"conf": {"target": "x"}}'),
        ("POST", "/api/v2/dags/theirs/dagRuns", b'{"conf": {"target": "x"}}'),
        ("POST", "/api/v2/dags/aimass_train_file/clearTaskInstances", b'{"conf": {"target": "x"}}'),
        ("POST", f"{PATH}/run/taskInstances", b'{"conf": {"target": "x"}}'),
        ("POST", PATH, b"{not json"),
        ("POST", PATH, b"[" * 100_000),
        ("POST", PATH, b'["target"]'),
        ("POST", PATH, b'{"conf": ["target"]}'),
        ("POST", PATH, b"\xff\xfe"),
        ("POST", PATH, b'{"conf": {"target": "x", "more": "' + b"x" * MAX_BODY_BYTES + b'"}}'),
    ],
)
def test_what_is_not_ours_to_judge_passes_untouched(
    tiny: TestClient, behind: Behind, asked: list[Any], method: str, path: str, body: bytes
) -> None:
    assert tiny.request(method, path, content=body).status_code == 200
    assert behind.bodies == [body]
    assert asked == []


def test_a_body_in_pieces_is_judged_whole_and_handed_on_in_pieces(behind: Behind) -> None:
    pieces = [b'{"conf": {"tar', b'get": "fine"}}', b""]
    answers: list[Any] = []
    messages = iter(
        [{"type": "http.request", "body": piece, "more_body": n < len(pieces) - 1} for n, piece in enumerate(pieces)]
    )

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        answers.append(message)

    async def check(request: Request, dag_id: str, conf: dict[str, Any]) -> list[Mistake]:
        return [] if conf == {"target": "fine"} else WRONG

    scope = {"type": "http", "method": "POST", "path": "/airflow" + PATH, "root_path": "/airflow", "headers": []}
    asyncio.run(TriggerCheck(behind, check)(scope, receive, send))
    assert behind.bodies == [b"".join(pieces)]
    assert answers[0]["status"] == 200


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW__AIMASS__ALLOWED_ROOTS", str(tmp_path))
    path = tmp_path / "客户.csv"
    path.write_text("年龄,流失\n" + "".join(f"{n},{'是' if n % 3 else '否'}\n" for n in range(90)), encoding="utf-8")
    return path


def test_airflow_itself_refuses_what_a_form_cannot_mean(
    seeding: Seeding, user: TestClient, reader: TestClient, nobody: TestClient, rows: Path
) -> None:
    path = f"/api/v2/dags/{seeding.dag(form_dag_id('file'))}/dagRuns"
    body = {"logical_date": None, "conf": {"name": "churn", "file": str(rows), "target": "流逝"}}
    answer = user.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "Target column: there is no column '流逝', did you mean '流失'?"
    # Who may not trigger the DAG learns nothing about files.
    assert reader.post(path, json=body).status_code == 403
    assert nobody.post(path, json=body).status_code == 401
    assert user.post("/api/v2/dags/aimass_train_file_gone/dagRuns", json=body).status_code == 404


def test_airflow_starts_what_a_form_can_mean(seeding: Seeding, user: TestClient, rows: Path) -> None:
    dag_id = seeding.dag(form_dag_id("file"))
    seeding.serialize(form_dag("file"))
    body = {"logical_date": None, "conf": {"name": "churn", "file": str(rows), "target": "流失"}}
    answer = user.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["conf"]["target"] == "流失"
