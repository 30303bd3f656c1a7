from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.texts import say
from aimass.notifications.base import Kind, Notice
from aimass.notifications.delivery import DeliverySettings, Templates
from aimass.notifications.words import put_into_words

FACTS = {"dag_id": "aimass_flights", "run_id": "manual__1", "when": "2026-11-24T00:00:00+00:00"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def notice(**others: object) -> Notice:
    return Notice.model_validate({"kind": "failure", "pipeline": "flights", **FACTS, **others})


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.words += data


FULL = {"run_url": "http://x/run", "report_url": "http://x/report", "approval_url": "http://x/ask", "held_back": 2}


@pytest.mark.parametrize("kind", ["success", "failure", "refusal", "approval"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_kind_has_words_in_every_language(kind: Kind, language: str) -> None:
    values = {"name": "m", "version": "3", "alias": "c"}
    lines = [say("{name} version {version} stands under {alias} now", **values)]
    settings = DeliverySettings.model_validate({"language": language})
    message = put_into_words(notice(kind=kind, tasks=["train"], lines=lines, message="why", **FULL), settings)
    assert "flights" in message.subject
    for body in (message.text, message.html):
        assert message.subject in body
        assert "why" in body
        assert "manual__1" in body
        assert all(url in body for url in ("http://x/run", "http://x/report", "http://x/ask"))
        assert bool(CHINESE.search(body)) is (language == "zh")
    assert bool(CHINESE.search(message.subject)) is (language == "zh")
    assert "<!doctype" in message.html


def test_nothing_is_said_of_what_is_not_known() -> None:
    message = put_into_words(notice(), DeliverySettings())
    assert "Report" not in message.text
    assert "held back" not in message.text
    assert "Report" not in message.html


@given(text=st.text(min_size=1), name=st.text(min_size=1))
def test_values_are_text_in_html_and_never_a_second_line_of_a_subject(text: str, name: str) -> None:
    given = notice(pipeline=name, tasks=[name], message=text, lines=[say("{text}", text=text)])
    plain = Page(put_into_words(notice(tasks=["t"], message="m", lines=[say("m")]), DeliverySettings()).html)
    message = put_into_words(given, DeliverySettings())
    page = Page(message.html)
    assert (page.tags, page.attributes) == (plain.tags, plain.attributes)
    assert len(message.subject.splitlines()) <= 1
    assert message.subject.isprintable()


def test_own_templates_take_the_place_of_ours_and_are_escaped() -> None:
    templates = Templates(subject="{{ pipeline }}!", text="{{ message }}", html="<b>{{ message }}</b>")
    message = put_into_words(notice(message="<i>"), DeliverySettings(templates=templates))
    assert (message.subject, message.text, message.html) == ("flights!", "<i>\n", "<b>&lt;i&gt;</b>")


def test_a_template_that_fails_gives_way_to_ours() -> None:
    settings = DeliverySettings(templates=Templates(subject="{{ 1 // held_back }}"))
    assert put_into_words(notice(), settings).subject == "flights: the run failed"
