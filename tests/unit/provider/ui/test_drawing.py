from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from aimass.ui.drawing import BOX_CELLS, Arrow, Box, draw, fitted


def overlapping(drawing) -> list[tuple[str, str]]:  # type: ignore[no-untyped-def]
    return [
        (a.box.key, b.box.key)
        for a, b in itertools.combinations(drawing.boxes, 2)
        if a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height
    ]


@st.composite
def pictures(draw_from: st.DrawFn) -> tuple[list[Box], list[Arrow]]:
    columns = draw_from(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    boxes = [
        Box(f"{column}.{row}", column, draw_from(st.text(max_size=40)))
        for column, rows in enumerate(columns)
        for row in range(rows)
    ]
    pairs = [(a.key, b.key) for a in boxes for b in boxes if a.column < b.column]
    chosen = draw_from(st.lists(st.sampled_from(pairs), unique=True, max_size=12)) if pairs else []
    return boxes, [Arrow(a, b, weight=draw_from(st.integers(1, 300))) for a, b in chosen]


@given(pictures())
def test_boxes_never_overlap_and_lie_inside(picture: tuple[list[Box], list[Arrow]]) -> None:
    boxes, arrows = picture
    drawing = draw(boxes, arrows)
    assert [placed.box for placed in drawing.boxes] == boxes
    assert [curve.arrow for curve in drawing.curves] == arrows
    assert overlapping(drawing) == []
    for placed in drawing.boxes:
        assert 0 <= placed.x <= placed.x + placed.width <= drawing.width
        assert 0 <= placed.y <= placed.y + placed.height <= drawing.height


def test_columns_stand_from_left_to_right() -> None:
    drawing = draw([Box("b", 1, "b"), Box("a", 0, "a"), Box("c", 2, "c")], [Arrow("a", "c"), Arrow("a", "b")])
    at = {placed.box.key: placed for placed in drawing.boxes}
    assert at["a"].x + at["a"].width < at["b"].x < at["b"].x + at["b"].width < at["c"].x


def test_an_arrow_that_passes_a_column_keeps_clear_of_its_boxes() -> None:
    drawing = draw([Box(key, column, key) for column, key in enumerate("abc")], [Arrow("a", "c"), Arrow("a", "b")])
    [middle] = [placed.y + placed.height / 2 for placed in drawing.boxes if placed.box.key == "b"]
    lane = float(drawing.curves[0].path.split("H")[0].split()[-1])
    assert abs(lane - middle) >= drawing.boxes[1].height / 2


def test_boxes_stand_by_what_they_are_joined_to() -> None:
    boxes = [Box(key, column, key) for column, keys in enumerate(("abc", "CBA")) for key in keys]
    drawing = draw(boxes, [Arrow(key, key.upper()) for key in "abc"])
    height = {placed.box.key: placed.y for placed in drawing.boxes}
    assert [height[key] for key in "abc"] == [height[key] for key in "ABC"]


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw([], []).boxes == []


@given(st.text(max_size=80))
def test_text_is_cut_to_its_box(text: str) -> None:
    cut = fitted(text)
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))
    assert len(cut) <= BOX_CELLS


def test_chinese_characters_take_two_cells() -> None:
    assert fitted("航" * 13) == "航" * 13
    assert fitted("航" * 14) == "航" * 12 + "…"
