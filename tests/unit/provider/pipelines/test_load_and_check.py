from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimass.core.errors import NotFoundError, nearest_name
from aimass.pipelines import check
from aimass.pipelines.check import check_once, check_pipeline
from aimass.pipelines.load import PipelineError, load_pipeline, pipeline_files
from aimass.pipelines.model import Pipeline

Write = Callable[..., Path]


def mistakes(path: Path) -> list[tuple[str, str]]:
    with pytest.raises(PipelineError) as caught:
        check_pipeline(load_pipeline(path), path)
    assert path.name in str(caught.value)
    return caught.value.mistakes


def test_a_good_file_passes(write: Write, good: str) -> None:
    path = write(good)
    pipeline = load_pipeline(path)
    check_pipeline(pipeline, path)
    assert pipeline.dag_id == "aimass_shop"
    assert pipeline.id == ["person"]
    assert pipeline.release == {}
    stages = {section.stage: section.config for section in pipeline.sections()}
    assert stages["join"]["base"] == "orders"
    assert stages["join"]["joins"][0]["on"] == ["person"]
    assert stages["split"] == {"split": {"type": "time", "column": "day"}}
    assert stages["release"] == {"name": "shop"}


def test_without_a_section_nothing_is_searched_or_released(write: Write, good: str) -> None:
    text = good.replace("optimize: {rounds: 2, trials: 4}\n", "").replace("release:\n", "").replace("time: day\n", "")
    stages = {section.stage: section.config for section in load_pipeline(write(text)).sections()}
    assert not {"optimize", "release"} & stages.keys()
    assert stages["split"] == {"split": {"type": "random"}}


@pytest.mark.parametrize(
    ("old", "new", "key", "told"),
    [
        ("train:", "trian:", "trian", "did you mean 'train'? (line 12)"),
        ("seed: 3", "sede: 3", "train.sede", "did you mean 'seed'? (line 12)"),
        ("type: logistic_regression", "type: logistic_regresion", "train", "'logistic_regression'"),
        ("uri: /data/orders.csv", "urii: /data/orders.csv", "sources.orders.urii", "did you mean 'uri'?"),
        (
            "uri: /data/people.csv",
            "uri: /data/people.csv, formatt: csv",
            "sources.people.formatt",
            "did you mean 'format'?",
        ),
        ("on: [person]", "onn: [person]", "join.0.onn", "did you mean 'on'?"),
        ("null: drop", "null: ignore", "target.null", "'drop' or 'error'"),
        ("trials: 4", "trials: 0", "optimize.trials", "greater than or equal to 1"),
        ("rounds: 2", "rounds: many", "optimize.rounds", "integer"),
        ("id: person", "id: {a: 1}", "id", "list"),
        ("name: shop", "name: 'sh op'", "name", "pattern"),
        ("release:", "release: {model: x}", "release.model", "set by the pipeline itself"),
        ("train: {seed", "evaluate: {split: test}\ntrain: {seed", "evaluate.split", "set by the pipeline itself"),
        ("target:", "targets:", "target", "is required"),
    ],
)
def test_a_mistake_names_its_key_line_and_the_nearest_name(
    write: Write, good: str, old: str, new: str, key: str, told: str
) -> None:
    assert old in good
    found = mistakes(write(good.replace(old, new)))
    assert key in [name for name, _ in found], found
    assert told in " ".join(text for name, text in found if name == key), found


def test_all_mistakes_of_all_sections_are_told_at_once(write: Write, good: str) -> None:
    text = good.replace("seed: 3", "sede: 3").replace("trials: 4", "trails: 4").replace("urii", "uri")
    assert {key for key, _ in mistakes(write(text))} == {"train.sede", "optimize.trails"}


@pytest.mark.parametrize(
    ("content", "told"),
    [("", "NoneType"), ("- a\n- b\n", "list"), ("name: [", "line 1"), ("name: a\nname: b\n", "twice")],
)
def test_what_is_no_pipeline_says_so(write: Write, content: str, told: str) -> None:
    with pytest.raises(PipelineError, match=told):
        load_pipeline(write(content))


def test_what_is_not_utf8_says_so(write: Write, good: str) -> None:
    path = write(good)
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(PipelineError, match="UTF-8"):
        load_pipeline(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.yaml"):
        load_pipeline(tmp_path / "gone.yaml")
    assert pipeline_files(tmp_path / "gone") == []


NAMES = [name for name in Pipeline.model_fields if name not in ("validation",)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(name=st.sampled_from(NAMES), position=st.integers(0, 20), letter=st.sampled_from("abcxyz_"))
def test_a_misspelt_key_is_always_named(write: Write, good: str, name: str, position: int, letter: str) -> None:
    at = position % (len(name) + 1)
    wrong = name[:at] + letter + name[at:]
    if wrong in NAMES:
        return
    with pytest.raises(PipelineError) as caught:
        load_pipeline(write(good + f"{wrong}: 1\n"))
    text = dict(caught.value.mistakes)[wrong]
    known = [*NAMES, "validate"]
    assert (nearest_name(wrong, known) or "known:") in text
    assert "(line 15)" in text


def test_a_good_file_is_checked_once(write: Write, good: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIMASS__CHECK_CACHE", str(tmp_path / "seals"))
    path = write(good)
    calls: list[Path] = []
    real = check.check_pipeline
    monkeypatch.setattr(check, "check_pipeline", lambda pipeline, file: (calls.append(file), real(pipeline, file)))
    for _ in range(3):
        check_once(load_pipeline(path), path)
    assert len(calls) == 1
    path.write_text(good + "# changed\n")
    check_once(load_pipeline(path), path)
    assert len(calls) == 2


def test_a_broken_file_is_checked_each_time(
    write: Write, good: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AIMASS__CHECK_CACHE", str(tmp_path / "seals"))
    path = write(good.replace("seed: 3", "sede: 3"))
    for _ in range(2):
        with pytest.raises(PipelineError):
            check_once(load_pipeline(path), path)


def test_a_folder_that_cannot_be_written_costs_only_time(
    write: Write, good: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AIRFLOW__AIMASS__CHECK_CACHE", str(tmp_path / "file" / "below"))
    path = write(good)
    check_once(load_pipeline(path), path)
