from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.errors import NotAllowedError
from aimass.hooks.allow import AllowList

ALLOWED = AllowList(
    roots=["/srv/data", "s3://lake/public"], connections=["lake_readonly"], import_prefixes=["acme.models"]
)


@pytest.mark.parametrize(
    "document",
    [
        {"seed": 3, "where": "month <= 3", "expr": "a / b > 1"},
        {"uri": "/srv/data/x.csv"},
        {"uri": "/srv/data"},
        {"uri": "file:///srv/data/2013/*.csv"},
        {"uri": "s3://lake/public/a.parquet"},
        {"source": {"conn_id": "lake_readonly"}},
        {"models": [{"class": "acme.models.boost:Model"}]},
        {"columns": ["a:b c", "10:30"]},
    ],
)
def test_what_is_allowed_passes(document: dict[str, Any]) -> None:
    ALLOWED.check(document, where="conf")


@pytest.mark.parametrize(
    "document",
    [
        {"uri": "/etc/passwd"},
        {"uri": "/srv/data/../secret"},
        {"uri": "/srv/data/%2e%2e/secret"},
        {"uri": "/srv/database"},
        {"uri": "relative.csv"},
        {"uri": "~/x"},
        {"uri": "s3://lake/private/x"},
        {"uri": "s3://lake/publicity/x"},
        {"uri": "s3://lake/public/../private/x"},
        {"uri": "simplecache::s3://lake/public/x"},
        {"uri": "FILE:///etc/passwd"},
        {"anything": "http://169.254.169.254/"},
        {"anything": ["s3://elsewhere/x"]},
        {"conn_id": "production"},
        {"mysql_conn_id": "production"},
        {"class": "os:system"},
        {"anything": "os:system"},
        {"class": "acme.modelsevil:Model"},
    ],
)
def test_what_is_not_allowed_is_refused_with_its_place(document: dict[str, Any]) -> None:
    with pytest.raises(NotAllowedError) as caught:
        ALLOWED.check({"section": document}, where="conf")
    assert caught.value.details["key"].startswith("conf.section.")
    assert "[aimass]" in str(caught.value)


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (tmp_path / "secret").write_text("x")
    (allowed / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(NotAllowedError):
        AllowList(roots=[str(allowed)]).check({"uri": str(allowed / "link")}, where="conf")


@given(st.lists(st.sampled_from(["..", ".", "a", "%2e%2e", "", "*", "b.csv"]), max_size=6))
def test_no_spelling_climbs_out_of_a_root(parts: list[str]) -> None:
    uri = "/srv/data/" + "/".join(parts)
    try:
        ALLOWED.check({"uri": uri}, where="conf")
    except NotAllowedError:
        return
    assert ".." not in uri.replace("%2e", ".").split("/")


def test_an_empty_list_allows_nothing() -> None:
    with pytest.raises(NotAllowedError, match="Known: none"):
        AllowList().check({"uri": "/srv/data/x"}, where="conf")
