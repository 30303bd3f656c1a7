"""Boxes and arrows, laid out in columns from left to right, which `templates/drawing.html` draws as SVG."""

from __future__ import annotations

import itertools
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

CELL_PX = 7.6
"""Width of a letter of the boxes' font; a Chinese character takes two."""
BOX_CELLS = 26
BOX_HEIGHT, ROW_HEIGHT = 44, 58
PADDING, COLUMN_GAP, LEAST_WIDTH = 12, 52, 64
SWEEPS = 4
WIDEST_ARROW = 7.0


@dataclass(frozen=True)
class Box:
    """One thing.

    Attributes
    ----------
    key : str
        Its name among the boxes.
    column : int
        Where it stands, from the left.
    title, detail : str
        Its two lines; what is too long is cut.
    hover : str
        What it says on hover, over several lines.
    tone : str
        A class of the style sheet.
    href : str
        Where it leads; empty for nowhere.
    """

    key: str
    column: int
    title: str
    detail: str = ""
    hover: str = ""
    tone: str = ""
    href: str = ""


@dataclass(frozen=True)
class Arrow:
    """What flows from one box to another, in a column further right.

    Attributes
    ----------
    start, end : str
        Keys of the boxes.
    hover : str
        What it says on hover.
    weight : int
        How much flows.
    """

    start: str
    end: str
    hover: str = ""
    weight: int = 1


@dataclass(frozen=True)
class PlacedBox:
    """A box and its place in pixels."""

    box: Box
    x: float
    y: float
    width: float
    height: float
    title: str
    detail: str


@dataclass(frozen=True)
class Curve:
    """An arrow as an SVG path."""

    arrow: Arrow
    path: str
    width: float


@dataclass(frozen=True)
class Drawing:
    """A picture of `width` times `height` pixels."""

    width: float
    height: float
    boxes: list[PlacedBox]
    curves: list[Curve]


def draw(boxes: Iterable[Box], arrows: Iterable[Arrow]) -> Drawing:
    """Lay out `boxes` in their columns so that few `arrows` cross; one that passes a column gets a lane in it."""
    by_key = {box.key: box for box in boxes}
    routes = [(arrow, _route(arrow, by_key)) for arrow in arrows]
    stops = {key: box.column for key, box in by_key.items()}
    stops |= {stop: column for _, route in routes for stop, column in route}
    rows = _rows(stops, [[stop for stop, _ in route] for _, route in routes])
    lefts, widths = _columns(by_key.values())
    top = min(rows.values(), default=0.0)
    middle = {stop: (row - top) * ROW_HEIGHT + BOX_HEIGHT / 2 + 2 for stop, row in rows.items()}
    placed = [_placed(box, lefts[box.column], widths[box.column], middle[box.key]) for box in by_key.values()]
    heaviest = max((arrow.weight for arrow, _ in routes), default=1)
    curves = [
        Curve(
            arrow,
            _path([(lefts[column], lefts[column] + widths[column], middle[stop]) for stop, column in route]),
            1.2 + WIDEST_ARROW * (arrow.weight / heaviest) ** 0.5 if heaviest > 1 else 1.6,
        )
        for arrow, route in routes
    ]
    last = max(lefts, default=0)
    width = lefts[last] + widths[last] + 2 if lefts else 0.0
    return Drawing(width, max(middle.values(), default=0.0) + BOX_HEIGHT / 2 + 2, placed, curves)


def fitted(text: str, cells: int = BOX_CELLS) -> str:
    """Return `text` cut to so many cells; a wide character, such as a Chinese one, takes two."""
    used = 0
    for place, character in enumerate(text):
        used += _cells(character)
        if used > cells:
            return f"{text[: max(0, place - 1)]}…"
    return text


def _cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _route(arrow: Arrow, boxes: Mapping[str, Box]) -> list[tuple[str, int]]:
    """Return where an arrow stops, column by column: at its boxes, and in a lane of its own in between."""
    first, last = boxes[arrow.start].column, boxes[arrow.end].column
    lanes = [(f"{arrow.start}\n{arrow.end}\n{column}", column) for column in range(first + 1, last)]
    return [(arrow.start, first), *lanes, (arrow.end, last)]


def _rows(stops: Mapping[str, int], routes: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return the row of every stop: each column is ordered by where its neighbours stand, and centred."""
    import networkx as nx

    neighbours: dict[str, list[str]] = defaultdict(list)
    for start, end in itertools.chain.from_iterable(map(itertools.pairwise, routes)):
        neighbours[start].append(end)
        neighbours[end].append(start)
    columns: dict[int, list[str]] = {column: [] for column in sorted(set(stops.values()))}
    for stop, column in stops.items():
        columns[column].append(stop)
    for sweep in range(SWEEPS):
        _order(columns, neighbours, backwards=bool(sweep % 2))
    graph = nx.Graph()
    graph.add_nodes_from(itertools.chain.from_iterable(columns.values()))
    if len(graph) < 2:
        return dict.fromkeys(graph, 0.0)
    places = nx.multipartite_layout(graph, subset_key=columns)
    # The layout is scaled to -1..1; in it, neighbours of one column are one row apart.
    fullest = max(columns.values(), key=len)
    row = abs(places[fullest[1]][1] - places[fullest[0]][1]) if len(fullest) > 1 else 1.0
    return {stop: float(y / row) for stop, (_, y) in places.items()}


def _order(columns: dict[int, list[str]], neighbours: Mapping[str, Sequence[str]], *, backwards: bool) -> None:
    """Order each column by the mean place of its stops' neighbours in the column before it (after it: `backwards`)."""
    numbers = list(columns)[::-1] if backwards else list(columns)
    for before, column in itertools.pairwise(numbers):
        ordered = columns[before]
        place = {stop: (index + 0.5) / len(ordered) for index, stop in enumerate(ordered)}

        def mean(stop: str, place: Mapping[str, float] = place, column: int = column) -> float:
            known = [place[other] for other in neighbours[stop] if other in place]
            own = (columns[column].index(stop) + 0.5) / len(columns[column])
            return sum(known) / len(known) if known else own

        columns[column] = sorted(columns[column], key={stop: mean(stop) for stop in columns[column]}.__getitem__)


def _columns(boxes: Iterable[Box]) -> tuple[dict[int, float], dict[int, float]]:
    """Return the left edge and the width of every column, in pixels."""
    widths: dict[int, float] = defaultdict(lambda: LEAST_WIDTH)
    for box in boxes:
        cells = max(_cells(fitted(box.title)), _cells(fitted(box.detail)) * 0.9)
        widths[box.column] = max(widths[box.column], cells * CELL_PX + 2 * PADDING)
    lefts, x = {}, 2.0
    for column in range(max(widths, default=-1) + 1):
        lefts[column] = x
        x += widths[column] + COLUMN_GAP
    return lefts, widths


def _placed(box: Box, x: float, width: float, middle: float) -> PlacedBox:
    y = middle - BOX_HEIGHT / 2
    return PlacedBox(box, x, y, width, BOX_HEIGHT, fitted(box.title), fitted(box.detail, BOX_CELLS + 2))


def _path(stops: Sequence[tuple[float, float, float]]) -> str:
    """Return the curve through `stops`, each (left edge, right edge, middle): straight in columns, bent between."""
    pieces = [f"M{stops[0][1]:.1f} {stops[0][2]:.1f}"]
    for (_, right, from_y), (left, until, to_y) in itertools.pairwise(stops):
        bend = (left - right) / 2
        pieces.append(f"C{right + bend:.1f} {from_y:.1f} {left - bend:.1f} {to_y:.1f} {left:.1f} {to_y:.1f}")
        if until != stops[-1][1]:
            pieces.append(f"H{until:.1f}")
    return "".join(pieces)
