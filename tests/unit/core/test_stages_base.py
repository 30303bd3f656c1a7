from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import polars as pl
import pytest
from pydantic import Field

from aimass.core.deps import Deps
from aimass.core.errors import AimassError, ConfigError, GateRefusedError, NotFoundError, StorageFullError
from aimass.core.manifest import find_manifest, load_manifest
from aimass.core.settings import OUTSIDE_KEY, InputUri
from aimass.core.stages import STAGES
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult
from aimass.core.testing.failpoints import FailAt, RecordingFailpoints
from tests.unit.core.publishing import publish_frame


class CountConfig(StageConfig):
    dataset: InputUri = Field(description="What to count.")
    factor: int = Field(default=1, description="Changes the output.")
    workers: Annotated[int, OUTSIDE_KEY] = Field(default=1, description="Does not.")


class CountResult(StageResult):
    factor: int = Field(default=0, description="The factor seen.")


class Counting:
    """A stage that counts how often its body ran."""

    def __init__(self, **stage: Any) -> None:
        self.runs = 0
        fields: dict[str, Any] = {"code_version": 1, **stage}
        self.stage = Stage("count", CountConfig, CountResult, body=self._body, **fields)

    def _body(self, config: CountConfig, deps: Deps, output: Output) -> CountResult:
        self.runs += 1
        output.write_file("notes/factor.txt", str(config.factor))
        return CountResult(factor=config.factor)


@pytest.fixture
def uri(deps: Deps) -> str:
    return publish_frame(deps, "in", pl.DataFrame({"a": [1]}))


def test_the_same_key_is_run_once(deps: Deps, uri: str) -> None:
    counting = Counting()
    first = counting.stage.run(CountConfig(dataset=uri), deps)
    second = counting.stage.run(CountConfig(dataset=uri, workers=4), deps)
    assert (first.reused, second.reused, counting.runs) == (False, True, 1)
    assert second.model_copy(update={"reused": False}) == first
    counting.stage.run(CountConfig(dataset=uri, factor=2), deps)
    assert counting.runs == 2


def test_the_key_depends_on_the_inputs_content_and_not_on_its_address(deps: Deps, uri: str) -> None:
    counting = Counting()
    counting.stage.run(CountConfig(dataset=uri), deps)
    same = publish_frame(deps, "elsewhere", pl.DataFrame({"a": [1]}))
    assert counting.stage.run(CountConfig(dataset=same), deps).reused
    other = publish_frame(deps, "other", pl.DataFrame({"a": [2]}))
    assert not counting.stage.run(CountConfig(dataset=other), deps).reused


def test_another_code_version_or_position_runs_anew(deps: Deps, uri: str) -> None:
    config = CountConfig(dataset=uri)
    for stage in ({}, {"code_version": 2}, {"position": lambda config, deps: [1]}):
        assert not Counting(**stage).stage.run(config, deps).reused


@pytest.mark.parametrize("point", ["before_manifest", "after_manifest"])
def test_nothing_half_done_is_visible_after_a_crash(deps: Deps, uri: str, point: str) -> None:
    counting = Counting()
    config = CountConfig(dataset=uri)
    with pytest.raises(KeyboardInterrupt):
        counting.stage.run(config, replace(deps, failpoints=FailAt(point)))
    result = counting.stage.run(config, deps)
    assert result.reused == (point == "after_manifest")
    assert deps.store.list(result.uri) == ["manifest.json", "notes"]


def test_a_failing_body_publishes_nothing(deps: Deps, uri: str) -> None:
    def body(config: CountConfig, deps: Deps, output: Output) -> CountResult:
        output.dataset().write(pl.DataFrame({"a": [1]}))
        raise OSError(28, "full")

    stage = Stage("count", CountConfig, CountResult, 1, body)
    with pytest.raises(StorageFullError, match="running count"):
        stage.run(CountConfig(dataset=uri), deps)
    left = [find_manifest(deps.store, deps.store.folder("p", "count", name)) for name in _outputs(deps)]
    assert not any(left)


def _outputs(deps: Deps) -> list[str]:
    return list(deps.store.list(deps.store.folder("p", "count")))


def test_a_refusal_fails_although_the_report_is_published(deps: Deps, uri: str) -> None:
    def refusal(result: CountResult) -> AimassError | None:
        return GateRefusedError(f"{result.factor} is too much") if result.factor > 1 else None

    counting = Counting(refusal=refusal)
    counting.stage.run(CountConfig(dataset=uri), deps)
    for _ in range(2):
        with pytest.raises(GateRefusedError, match="2 is too much"):
            counting.stage.run(CountConfig(dataset=uri, factor=2), deps)
    assert counting.runs == 2


def test_a_result_that_no_longer_stands_is_made_again(deps: Deps, uri: str) -> None:
    counting = Counting(verify=lambda result, deps: counting.runs > 1)
    for _ in range(3):
        counting.stage.run(CountConfig(dataset=uri), deps)
    assert counting.runs == 2


def test_manifest_tells_where_the_output_came_from(deps: Deps, uri: str) -> None:
    points = RecordingFailpoints()
    result = Counting().stage.run(CountConfig(dataset=uri, workers=3), replace(deps, failpoints=points))
    manifest = load_manifest(deps.store, result.uri)
    assert (manifest.kind, manifest.config["workers"]) == ("artifact", 3)
    assert [(ref.field, ref.uri) for ref in manifest.inputs] == [("dataset", uri)]
    assert points.names == ["before_manifest", "after_manifest"]


def test_an_input_that_is_not_published_is_not_found(deps: Deps) -> None:
    with pytest.raises(NotFoundError, match="Nothing is published"):
        Counting().stage.run(CountConfig(dataset=deps.store.folder("nothing")), deps)


def test_parse_names_the_stage(deps: Deps) -> None:
    with pytest.raises(ConfigError, match="In the configuration of 'count': dataset: is required"):
        Counting().stage.parse({})


@pytest.mark.parametrize("name", ["ingest", "join", "split"])
def test_stages_describe_every_field(name: str) -> None:
    stage = STAGES.load(name)
    for model in (stage.config, stage.result):
        assert all(info.description for info in model.model_fields.values())
