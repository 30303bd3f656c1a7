from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.ui.card import card_html

ALLOWED = {
    "a", "blockquote", "br", "code", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "strong", "table",
    "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
PIECES = st.sampled_from(
    ["<img src=x onerror=alert(1)>", "<script>", "`", "|", "\n", "# ", "[a](", ")", "javascript:alert(1)", "<b>",
     "![x](y)", "---\n", "data:text/html,<script>", "*", "&lt;", "航班", '"', "- ", "http://a/", "<http://b/?\">", "\\"]
)  # fmt: skip


class Seen(HTMLParser):
    """Collects what a browser would build."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


@given(st.lists(PIECES, max_size=30).map("".join))
def test_nothing_but_text_comes_out(markdown: str) -> None:
    seen = Seen(card_html(markdown))
    assert seen.tags <= ALLOWED
    for name, value in seen.attributes:
        assert name in {"href", "rel", "target", "title", "class", "style", "start"}, name
        if name == "href":
            assert not str(value).lower().startswith(("javascript:", "data:", "vbscript:"))
        if name == "style":
            assert str(value).startswith("text-align:")


def test_the_front_matter_is_left_out_and_titles_are_lowered() -> None:
    page = card_html(
        "---\ntags: [a]\n---\n\n# Late\n\n## Inputs\n\n| column | type |\n| --- | --- |\n| `a` | int64 |\n"
    )
    assert "tags" not in page
    assert "<h3>Late</h3>" in page
    assert "<h4>Inputs</h4>" in page
    assert "<td><code>a</code></td>" in page


def test_links_open_outside() -> None:
    assert 'target="_blank"' in card_html("[docs](https://example.org)")


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "`<img src=x onerror=alert(1)>`"])
def test_hostile_names_are_text(name: str) -> None:
    page = card_html(f"| column | type |\n| --- | --- |\n| {name} | string |\n")
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img" not in page
