from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, DownstreamTasksSkipped, TaskDeferred

from aimass.core.release.base import BAD_TAG, STATE_TAG, TRAFFIC_TAG
from aimass.core.release.ledger import Ledger
from aimass.core.testing.endpoints_contract import ROW
from aimass.operators.compare import ApprovePromotionOperator, CompareOperator
from aimass.operators.deploy import DeployOperator
from aimass.operators.failures import StageFailedError, StageRetryError
from aimass.operators.improve import ImproveOperator
from aimass.operators.promote import PromoteOperator
from aimass.operators.retire import RetireOperator
from aimass.operators.rollback import RollbackOperator
from aimass.operators.scrape import ScrapeOperator
from aimass.triggers.condition import condition_of, look_once
from tests.services.answering import silent_server
from tests.unit.provider.in_use import MODEL, REGISTRY, World, connect, context, make_world


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def request(**fields: Any) -> dict[str, Any]:
    return {"request": {"model": MODEL, **fields}, "registry": REGISTRY}


def aliases(world: World) -> dict[str, str]:
    model = world.registry.model(MODEL)
    assert model is not None
    return model.aliases


def test_deploy_moves_the_alias_and_the_server_has_followed(world: World) -> None:
    result = DeployOperator(task_id="t", **request(version="1", why="asked")).execute(context())
    assert (result["version"], result["before"]) == ("1", "3")
    assert aliases(world) == {"champion": "1", "previous": "3"}
    assert world.endpoint.predict(MODEL, [ROW])["version"] == "1"
    last = Ledger(world.deps, MODEL).last("champion")
    assert last is not None
    assert (last.who, last.why) == ("ada", "asked")


def test_deploy_waits_in_the_triggerer_for_a_server_that_lags(world: World) -> None:
    world.server.stuck = True
    task = DeployOperator(task_id="t", timeout_s=120, **request(version="1"))
    with pytest.raises(TaskDeferred) as waiting:
        task.execute(context())
    trigger = waiting.value.trigger
    assert trigger.settings["version"] == "1"
    assert waiting.value.kwargs is not None
    result = waiting.value.kwargs["result"]
    assert task.execute_complete(context(), {"met": True}, result)["version"] == "1"
    with pytest.raises(StageRetryError, match="answers with version 3"):
        task.execute_complete(context(), {"late": "aimass_serving: champion answers with version 3"}, result)


def test_deploy_gives_the_challenger_its_share_and_takes_it_back(world: World) -> None:
    number = world.challenge(0.9)
    for share, tag in ((0.1, '{"champion": 0.9, "challenger": 0.1}'), (0, None)):
        shared = DeployOperator(task_id="t", wait=False, **request(challenger_share=share)).execute(context())
        assert shared["challenger"] == number
        model = world.registry.model(MODEL)
        assert model is not None
        assert model.tags.get(TRAFFIC_TAG) == tag
    assert aliases(world)["champion"] == "3"


@pytest.mark.parametrize(("fields", "told"), [({"version": "9"}, "no version 9"), ({"alias": "v1"}, "latest")])
def test_deploy_refuses_what_is_not_there(world: World, fields: dict[str, Any], told: str) -> None:
    with pytest.raises(AirflowFailException, match=told):
        DeployOperator(task_id="t", **request(**fields)).execute(context())


def test_a_better_challenger_is_promoted_and_a_worse_one_is_left(world: World) -> None:
    number = world.challenge(0.9)
    assert CompareOperator(task_id="c", **request()).execute(context())["promote"] is True
    assert PromoteOperator(task_id="p", **request()).execute(context())["version"] == number
    assert aliases(world) == {"champion": number, "previous": "3"}
    worse = world.challenge(0.6)
    here = context()
    with pytest.raises(DownstreamTasksSkipped):
        CompareOperator(task_id="c", **request()).execute(here)
    assert "refuses" in here["ti"].xcoms["return_value"]["why"]
    with pytest.raises(AirflowFailException, match="is not promoted"):
        PromoteOperator(task_id="p", **request()).execute(context())
    assert aliases(world)["challenger"] == worse


@pytest.mark.parametrize(("decide", "asks"), [("gate", False), ("person", True)])
def test_a_person_is_asked_where_one_decides(world: World, decide: str, asks: bool) -> None:
    world.challenge(0.9)
    question = CompareOperator(task_id="c", **request(decide=decide, language="zh")).execute(context())
    assert "| auc | 0.9 | 0.7 |" in question["body"]
    with DAG("d", schedule=None):
        operator = ApprovePromotionOperator(task_id="approve", question=question)
    assert bool(operator._prepare(context())) is not asks
    assert (question["subject"] == operator.subject) is asks


def test_later_leaves_a_good_challenger_where_it_is(world: World) -> None:
    world.challenge(0.9)
    with pytest.raises(DownstreamTasksSkipped):
        CompareOperator(task_id="c", **request(decide="later")).execute(context())


def test_a_rollback_in_one_task_leads_to_its_report(world: World) -> None:
    task = RollbackOperator(task_id="t", **request(why="worse"))
    result = task.execute(context())
    assert (result["left"], result["target"]) == ("3", "2")
    assert result["steps"]["verify"]["reports"]["aimass_serving"]["ok"] is True
    assert task.result_["report"]
    assert aliases(world) == {"champion": "2", "previous": "1"}
    version = world.registry.version(MODEL, "3")
    assert version is not None
    assert "worse" in version.tags[BAD_TAG]


def test_a_rollback_waits_for_a_server_that_lags_and_goes_on(world: World) -> None:
    world.server.stuck = True
    task = RollbackOperator(task_id="t", **request(why="worse"))
    with pytest.raises(TaskDeferred) as waiting:
        task.execute(context())
    assert aliases(world)["champion"] == "2"
    world.server.stuck = False
    assert waiting.value.kwargs is not None
    result = task.execute_complete(context(), {"met": True}, waiting.value.kwargs["found"])
    assert result["serving"] == ["aimass_serving"]


def test_a_server_that_hangs_is_waited_for_and_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    both = request(why="worse", endpoint="aimass_serving, hangs")
    with silent_server() as url:
        extra = {"timeout_s": 0.1, "work_timeout_s": 0.1}
        monkeypatch.setenv(
            "AIRFLOW_CONN_HANGS", json.dumps({"conn_type": "aimass_serving", "host": url, "extra": extra})
        )
        only = RollbackOperator(task_id="t", **request(why="worse", endpoint="hangs"))
        with pytest.raises(StageRetryError, match=f"No server answered to try version 2: The server {url} does not"):
            only.execute(context())
        assert aliases(world)["champion"] == "3"
        task = RollbackOperator(task_id="t", **both)
        with pytest.raises(TaskDeferred) as waiting:
            task.execute(context())
        assert aliases(world)["champion"] == "2"
        trigger = waiting.value.trigger
        seen = look_once(condition_of(trigger.condition, trigger.settings))
        assert (seen.met, seen.told) == (False, "hangs: is not ready")
    # What was waited for in vain is tried again, and asks a server that has come back.
    connect(monkeypatch, "hangs", store=world.deps.store.root)
    found = task.execute(context())
    assert (found["serving"], aliases(world)["champion"]) == (["aimass_serving", "hangs"], "2")


def test_evidence_that_is_not_there_stops_a_rollback_before_it_begins(world: World) -> None:
    with pytest.raises(StageFailedError, match="nowhere"):
        RollbackOperator(task_id="t", **request(why="x", evidence=f"{world.deps.store.root}/nowhere")).execute(
            context()
        )
    assert aliases(world)["champion"] == "3"


def test_a_version_is_retired_once_nobody_asks_for_it(world: World) -> None:
    DeployOperator(task_id="d", **request(version="2")).execute(context())
    world.registry.delete_alias(MODEL, "previous")
    task = RetireOperator(task_id="t", **request(version="3", why="old", grace_minutes=0))
    assert task.execute(context())["archive"] == "archived"
    version = world.registry.version(MODEL, "3")
    assert version is not None
    assert version.tags[STATE_TAG] == "archived"


def test_a_version_that_is_still_asked_for_is_waited_for(world: World) -> None:
    world.endpoint.predict(MODEL, [ROW])
    DeployOperator(task_id="d", **request(version="2")).execute(context())
    world.registry.delete_alias(MODEL, "previous")
    task = RetireOperator(task_id="t", **request(version="3", why="old", grace_minutes=30))
    with pytest.raises(TaskDeferred) as waiting:
        task.execute(context())
    assert waiting.value.trigger.condition == "unused"
    with pytest.raises(StageFailedError, match="in vain"):
        task.execute_complete(context(), {"late": "version 3 was asked last"})
    assert task.execute_complete(context(), {"met": True, "value": {}})["archive"] == "archived"


def test_scraping_tells_who_is_down_and_keeps_what_the_others_say(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, "second", store=world.deps.store.root)
    world.endpoint.predict(MODEL, [ROW])
    task = ScrapeOperator(task_id="t", **request(endpoint="aimass_serving, second"))
    assert task.execute(context())["down"] == {}
    world.server.down = True
    found = task.execute(context())
    assert (list(found["down"]), found["project"]) == (["aimass_serving"], "shop")
    assert found["samples"] >= 1


def test_a_conf_may_name_only_servers_that_are_allowed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "second", store=world.deps.store.root)
    here = context({"model": MODEL, "endpoint": "second"})
    closed = ScrapeOperator(task_id="t", from_params=True, registry=REGISTRY)
    with pytest.raises(AirflowFailException, match="'second'"):
        closed.execute(here)
    watched = ScrapeOperator(task_id="t", from_params=True, registry=REGISTRY, allowed_conn_ids=["second"])
    assert watched.execute(here)["down"] == {}
    monkeypatch.setenv("AIRFLOW__AIMASS__ALLOWED_CONNECTIONS", "second")
    assert closed.execute(here)["down"] == {}


def test_an_unknown_field_of_the_conf_is_named(world: World) -> None:
    task = RollbackOperator(task_id="t", from_params=True, registry=REGISTRY)
    here = context({"model": MODEL, "whi": "worse"})
    with pytest.raises(AirflowFailException, match="did you mean 'why'"):
        task.execute(here)
    # What another task of the same DAG is told is no mistake here.
    here = context({"model": MODEL, "why": "worse", "pipeline": "shop"})
    here["dag"] = SimpleNamespace(params={"pipeline": None})
    assert task.execute(here)["target"] == "2"


def test_only_a_pipeline_that_releases_may_be_run(world: World) -> None:
    assert ImproveOperator(task_id="t", pipelines=["shop"], **request()).execute(context()) == {
        "dag_id": "aimass_shop",
        "conf": {"alias": "challenger"},
    }
    with pytest.raises(AirflowFailException, match="rollback"):
        ImproveOperator(task_id="t", pipelines=["shop"], **request(pipeline="aimass_rollback")).execute(context())
