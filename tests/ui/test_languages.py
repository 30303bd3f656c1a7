"""The language of a page: what the reader chose, else Airflow's, else the browser's."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

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
