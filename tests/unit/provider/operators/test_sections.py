from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.errors import ConfigError, NotAllowedError, UnknownNameError
from aimass.operators.sections import FORM_FIELDS, check_conf, check_stage_config, merge, overlay, spread

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(st.text(max_size=4), JSON, max_size=4)

SPLIT = {"stage": "split", "config": {"split": {"type": "random"}}, "keys": {"split": "split"}, "fixed": ()}
TRAIN = {"stage": "train", "config": {"seed": 1}, "keys": {"train": ""}, "fixed": ()}
EVALUATE = {"stage": "evaluate", "config": {}, "keys": {"evaluate": ""}, "fixed": ("split",)}
INGEST = {
    "stage": "ingest",
    "config": {"name": "t", "source": {"type": "files", "uri": "package://x/y.csv"}},
    "keys": {"sources.t": "source", "ingest": ""},
    "fixed": ("name",),
}
SECTIONS = [INGEST, SPLIT, TRAIN, EVALUATE]


@given(MAPPINGS)
def test_nothing_over_something_changes_nothing(written: dict[str, Any]) -> None:
    assert merge(written, {}) == written


@given(MAPPINGS, MAPPINGS)
def test_merging_twice_is_merging_once_and_leaves_the_written_alone(
    written: dict[str, Any], override: dict[str, Any]
) -> None:
    before = copy.deepcopy(written)
    once = merge(written, override)
    assert merge(once, override) == once
    assert written == before


def test_another_type_replaces_the_settings_of_the_first() -> None:
    assert merge({"type": "time", "column": "day"}, {"type": "random"}) == {"type": "random"}
    assert merge({"type": "time", "column": "day"}, {"test": 0.2}) == {"type": "time", "column": "day", "test": 0.2}


def test_overlay_reaches_nested_sections() -> None:
    changed = overlay(INGEST["config"], {"sources": {"t": {"delimiter": ";"}}}, INGEST["keys"])
    assert changed["source"]["delimiter"] == ";"
    assert changed["name"] == "t"


def test_a_section_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(ConfigError, match="train"):
        overlay({}, {"train": 3}, {"train": ""})


def test_a_good_conf_passes() -> None:
    check_conf({"train": {"seed": 7}, "split": {"test": 0.3}, "_airflow": 1}, SECTIONS)


def test_an_unknown_section_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'train'") as caught:
        check_conf({"trian": {"seed": 7}}, SECTIONS)
    assert caught.value.details["nearest"] == "train"


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(UnknownNameError):
        check_conf({"sources": {"u": {"delimiter": ";"}}}, SECTIONS)


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="seed"):
        check_conf({"train": {"sed": 7}}, SECTIONS)


@pytest.mark.parametrize(
    "conf",
    [
        {"sources": {"t": {"uri": "/etc/passwd"}}},
        {"sources": {"t": {"uri": "data.csv"}}},
        {"train": {"models": [{"type": "evil.module:Model"}]}},
        {"train": {"conn_id": "production"}},
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_else(conf: dict[str, Any]) -> None:
    with pytest.raises(NotAllowedError):
        check_conf(conf, SECTIONS)


def test_what_the_pipeline_sets_itself_cannot_be_set() -> None:
    with pytest.raises(ConfigError, match="split"):
        check_conf({"evaluate": {"split": "test"}}, SECTIONS)
    with pytest.raises(ConfigError, match="dataset"):
        check_stage_config("train", {"dataset": "x"}, where="here")
    with pytest.raises(ConfigError, match="name"):
        check_conf({"ingest": {"name": "other"}}, SECTIONS)


OPTIMIZE = {"stage": "optimize", "config": {"strategy": {"type": "tpe"}}, "keys": {"optimize": ""}, "fixed": ()}
MODELS = [{"type": "lightgbm", "n_estimators": 9}, {"type": "decision_tree"}, {"type": "lightgbm", "name": "other"}]


def test_flat_fields_reach_the_sections_that_they_stand_for() -> None:
    conf = {"metric": "f1", "families": ["lightgbm", "random_forest"], "strategy": "random", "test_share": 0.3}
    trained = overlay({"models": MODELS, "seed": 1}, conf, TRAIN["keys"])
    assert trained == {"models": [MODELS[0], MODELS[2], {"type": "random_forest"}], "seed": 1, "metric": "f1"}
    searched = overlay(OPTIMIZE["config"], conf, OPTIMIZE["keys"])
    assert searched == {"strategy": {"type": "random"}, "metric": "f1", "families": ["lightgbm", "random_forest"]}
    assert overlay(SPLIT["config"], conf, SPLIT["keys"]) == {"split": {"type": "random", "test": 0.3}}
    assert overlay(EVALUATE["config"], conf, EVALUATE["keys"]) == {}


@given(st.dictionaries(st.sampled_from(sorted({*FORM_FIELDS} - {"alias"})), st.sampled_from([None, "", []])))
def test_an_empty_field_leaves_what_is_written(conf: dict[str, Any]) -> None:
    check_conf(conf, [*SECTIONS, OPTIMIZE])
    for section in (*SECTIONS, OPTIMIZE):
        assert overlay(section["config"], conf, section["keys"]) == section["config"]


def test_a_section_says_more_than_a_field() -> None:
    assert spread({"metric": "f1", "train": {"metric": "auc"}})["train"] == {"metric": "auc"}
    assert spread({"metric": "f1", "train": None})["train"] == {"metric": "f1"}


@pytest.mark.parametrize(
    ("conf", "told"),
    [
        ({"trials": 3}, "Unknown section of the conf 'trials'"),
        ({"metrics": "f1"}, "'metric'"),
        ({"metric": "ac"}, "'auc'"),
        ({"families": ["lightgmb"]}, "lightgbm"),
        ({"families": "lightgbm"}, "list"),
        ({"test_share": 2}, "less than 1"),
    ],
)
def test_a_wrong_field_is_refused(conf: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_conf(conf, SECTIONS)
