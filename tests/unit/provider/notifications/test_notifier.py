from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.log import mask_secret

from aimass.notifications.notifier import NoticeNotifier
from tests.services.mailbox import Mailbox
from tests.services.posts import Posts
from tests.unit.provider.notifications.conftest import PASSWORD

# Apprise looks for a module of the standard library that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
MAIL = {"type": "smtp", "to": ["team@example.org"], "conn_id": "mail"}
CHAT = {"type": "apprise", "conn_id": "chat"}


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", str(tmp_path))
    return tmp_path


def context(run_id: str = "r1", **others: Any) -> Any:
    with DAG("aimass_late", schedule=None) as dag:
        BaseOperator(task_id="train")
    run = SimpleNamespace(dag_id="aimass_late", run_id=run_id)
    ti = SimpleNamespace(task_id="train", map_index=-1)
    return {"dag": dag, "dag_run": run, "ti": ti, "exception": ValueError("no rows are left"), **others}


def test_every_channel_is_told_once(mailbox: Mailbox, posts: Posts) -> None:
    notifier = NoticeNotifier(kind="failure", channels=[MAIL, CHAT])
    notifier(context("r1"))
    notifier(context("r2"))
    (letter,), (post,) = mailbox.letters, posts.received
    assert letter["Subject"] == post["title"] == "late: the run failed at train"
    assert "no rows are left" in post["message"]


def test_a_channel_that_is_down_is_tried_again_later(posts: Posts, capsys: pytest.CaptureFixture[str]) -> None:
    notifier = NoticeNotifier(kind="failure", channels=[CHAT])
    posts.status = 503
    notifier(context("r1"))
    assert not posts.received
    log = capsys.readouterr().out
    assert "the next notice tries it again" in log
    assert PASSWORD not in log
    posts.status = 200
    notifier(context("r2"))
    (post,) = posts.received
    assert "r1" in post["message"]


def test_a_broken_channel_does_not_silence_the_others(posts: Posts, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = {"type": "smtp", "to": ["a@b"], "conn_id": "not_there"}
    NoticeNotifier(kind="failure", channels=[{"type": "pigeon"}, nowhere, CHAT])(context())
    assert len(posts.received) == 1
    log = capsys.readouterr().out
    assert "pigeon" in log
    assert "SMTP connection is not found" in log


def test_a_store_that_is_away_costs_the_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, posts: Posts) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", str(tmp_path / "file" / "store"))
    NoticeNotifier(kind="failure", channels=[CHAT])(context())
    assert len(posts.received) == 1


def test_no_secret_is_told(posts: Posts) -> None:
    mask_secret("s3cr3t-value")
    NoticeNotifier(kind="failure", channels=[CHAT])(context(exception=ValueError("login with s3cr3t-value failed")))
    (post,) = posts.received
    assert "s3cr3t-value" not in post["message"]
    assert "***" in post["message"]


def test_it_can_be_awaited(posts: Posts) -> None:
    document = {"dag_run": {"dag_id": "aimass_late", "dag_run_id": "r"}, "deadline": {}}

    async def wait() -> None:
        await NoticeNotifier(kind="failure", channels=[CHAT], context=document)

    asyncio.run(wait())
    assert posts.received[0]["title"] == "late: the run failed"


def test_what_is_not_wanted_is_not_told(posts: Posts) -> None:
    NoticeNotifier(kind="success", channels=[{**CHAT, "on": ["failure"]}])(context())
    assert not posts.received
