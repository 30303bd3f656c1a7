"""A model card as HTML: Markdown in, nothing that could run, load or send anything out."""

from __future__ import annotations

import re

from markupsafe import Markup

FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
LEVELS_DOWN = 2
"""The page has titles of its own above the card's."""


def card_html(markdown: str) -> Markup:
    """Return the card as HTML.

    HTML in the text is text; pictures are left out; links lead to web pages only, which open outside.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = parser.parse(FRONT_MATTER.sub("", markdown))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + LEVELS_DOWN)}"
        for inner in token.children or []:
            if inner.type == "link_open":
                inner.attrSet("rel", "noopener noreferrer nofollow")
                inner.attrSet("target", "_blank")
    # The parser escapes all text and refuses addresses that run scripts.
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704
