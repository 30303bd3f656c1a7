"""The language of a page: what the reader chose, else Airflow's, else the browser's."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from aimass.pipelines.forms.ingest import ABOUT
from aimass.ui.languages import choose
from tests.ui.seeding import Seeding


@pytest.mark.parametrize(
    ("wishes", "language"),
    [
        (("zh", "en"), "zh"),
        ((None, "zh-CN,zh;q=0.9"), "zh"),
        (("fr-FR,fr;q=0.8,zh;q=0.5",), "zh"),
        (("de",), "en"),
        ((None, None), "en"),
        (("ZH_TW",), "zh"),
    ],
)
def test_the_first_known_wish_counts(wishes: tuple[str | None, ...], language: str) -> None:
    assert choose(*wishes) == language


def test_what_the_reader_chose_is_kept(seeding: Seeding, reader: TestClient) -> None:
    assert '<html lang="en">' in reader.get("/aimass/", headers={"accept-language": "en"}).text
    assert '<html lang="zh">' in reader.get("/aimass/", headers={"accept-language": "zh-CN"}).text
    assert '<html lang="zh">' in reader.get("/aimass/?lang=zh").text
    assert '<html lang="zh">' in reader.get("/aimass/", headers={"accept-language": "en"}).text


def test_what_our_own_dags_say_is_translated_and_what_people_write_stays(seeding: Seeding, reader: TestClient) -> None:
    seeding.dag("aimass_ingest_mysql", description=ABOUT["mysql"])
    seeding.dag("aimass_shop", description="100 %(sure)s <b>ours</b>")
    page = reader.get("/aimass/?lang=zh").text
    assert "把 MySQL 的表或查询结果读入数据集" in page
    assert "100 %(sure)s &lt;b&gt;ours&lt;/b&gt;" in page
    assert ABOUT["mysql"] in reader.get("/aimass/?lang=en").text
