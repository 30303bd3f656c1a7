"""A feature graph as a picture: raw columns, their canonical form, each step, the features, the model.

Columns that go the same way stand in one box with their number, so that two hundred of them can be read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from gettext import NullTranslations

from aimass.core.features.canonical import RawColumn
from aimass.core.features.graph import FeatureGraph
from aimass.core.features.provenance import Origin, Step, origins, steps
from aimass.ui.drawing import Arrow, Box, Drawing, draw

MOST_ALONE = 4
"""Groups of at most so many columns are drawn one by one."""
MOST_BOXES = 8
"""More groups of features behind one step than this become one."""
NAMES_ON_HOVER = 30
MODEL = "model"


def feature_flow(graph: FeatureGraph, *, model: str, family: str, words: NullTranslations) -> Drawing:
    """Return the picture of `graph` and the model behind it.

    Parameters
    ----------
    graph : FeatureGraph
        What is drawn.
    model, family : str
        Name and family of the model at its end.
    words : gettext.NullTranslations
        The reader's language.
    """
    return _Flow(graph, words).drawing(model, family)


class _Flow:
    """Collects the boxes and arrows of one graph."""

    def __init__(self, graph: FeatureGraph, words: NullTranslations) -> None:
        self._graph = graph
        self._words = words
        self._steps = steps(graph)
        self._origins = origins(graph)
        self._maker = {column.name: f"form {_form(column)}" for column in graph.raw}
        self._depth = dict.fromkeys(self._maker.values(), 1)
        self._carried: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        for place, step in enumerate(self._steps):
            self._pass(f"step {place}", step)
        self._readers = self._raw_readers()
        self._boxes: list[Box] = []

    def drawing(self, model: str, family: str) -> Drawing:
        _ = self._words.gettext
        self._draw_raw()
        self._draw_forms()
        self._draw_steps()
        column = max(self._depth.values(), default=1) + 1
        self._draw_features(column)
        hover = _("The model reads the features as one row of numbers.")
        self._boxes.append(Box(MODEL, column + 1, model, family, f"{model} ({family})\n{hover}", "model"))
        arrows = [Arrow(start, end, self._listed(names), len(names)) for (start, end), names in self._carried.items()]
        return draw(self._boxes, arrows)

    def _pass(self, key: str, step: Step) -> None:
        """Let the columns that `step` reads flow into it; what it writes comes from it."""
        for names in step.reads.values():
            for name in names:
                self._carried[self._maker[name], key][name] = None
                self._depth[key] = max(self._depth.get(key, 2), self._depth[self._maker[name]] + 1)
        self._depth.setdefault(key, 2)
        self._maker |= dict.fromkeys(step.reads, key)

    def _raw_readers(self) -> dict[str, tuple[str, ...]]:
        """Return who reads each raw column in its canonical form."""
        found: dict[str, list[str]] = {column.name: [] for column in self._graph.raw}
        for (start, end), names in self._carried.items():
            if start.startswith("form "):
                for name in names:
                    found[name].append(end)
        return {name: tuple(readers) for name, readers in found.items()}

    def _draw_raw(self) -> None:
        columns = {column.name: column for column in self._graph.raw}
        keys = {name: (_form(column), self._readers[name]) for name, column in columns.items()}
        for number, names in enumerate(_groups(columns, keys.__getitem__, MOST_ALONE)):
            key, form = f"raw {number}", f"form {_form(columns[names[0]])}"
            types = ", ".join(dict.fromkeys(columns[name].type for name in names))
            self._add(key, 0, names, types, "raw")
            self._carried[key, form] = dict.fromkeys(names)

    def _draw_forms(self) -> None:
        forms = {f"form {_form(column)}": column for column in self._graph.raw}
        for key, column in forms.items():
            title, hover = self._form_words(column)
            self._boxes.append(Box(key, 1, title, self._form_detail(column), hover, "form"))

    def _form_words(self, column: RawColumn) -> tuple[str, str]:
        _ = self._words.gettext
        if column.native == "string" and column.kind == "string":
            return _("tidy text"), _("White space around it goes, Unicode is normalised; empty text is missing.")
        if column.native == "string":
            return _("read text"), _("Text is read as its kind says; what is not of that form is missing.")
        if column.native != column.kind:
            return _("convert"), _("The values become another kind; what cannot is missing.")
        return _("canonical form"), _("Not a number and infinity are missing; times are counted in microseconds, UTC.")

    def _form_detail(self, column: RawColumn) -> str:
        _ = self._words.gettext
        kinds = {
            "string": _("text"), "float": _("number"), "int": _("whole number"), "bool": _("yes or no"),
            "date": _("time"),
        }  # fmt: skip
        kind, native = kinds[column.kind], kinds[column.native]
        return kind if kind == native else f"{native} → {kind}"

    def _draw_steps(self) -> None:
        for place, step in enumerate(self._steps):
            key = f"step {place}"
            settings = step.transform.settings.model_dump(mode="json", exclude={"columns"}, exclude_none=True)
            said = ", ".join(f"{name} {value}" for name, value in settings.items())
            explained = self._explained(step.name) or (type(step.transform).__doc__ or "").strip().split("\n")[0]
            count = self._columns(len(step.transform.names))
            hover = f"{step.name}: {explained}\n{count}\n{said}"
            self._boxes.append(Box(key, self._depth[key], step.name, count, hover, step.part))

    def _explained(self, name: str) -> str:
        _ = self._words.gettext
        return {
            "fill": _("missing values are replaced, and a column says where they were"),
            "clip": _("values beyond the bounds become the bounds"),
            "log": _("the logarithm pulls a long tail in"),
            "scale": _("numbers are brought to one scale"),
            "one_hot": _("one column of 0 and 1 for each category"),
            "ordinal": _("a category becomes its place in an order"),
            "frequency": _("a category becomes the share of training rows that have it"),
            "date_parts": _("a point in time becomes its year, month, weekday, hour"),
        }.get(name, "")

    def _draw_features(self, column: int) -> None:
        for number, names in enumerate(self._feature_groups()):
            key, maker = f"feature {number}", self._maker[names[0]]
            raw = {origin for name in names for origin in self._origins[name].raw}
            if len(names) > 1 and len(raw) == 1:
                self._boxes.append(
                    Box(key, column, raw.pop(), self._features(len(names)), self._listed(names), "feature")
                )
            else:
                self._add(key, column, names, "", "feature")
            self._carried[maker, key] = dict.fromkeys(names)
            self._carried[key, MODEL] = dict.fromkeys(names)

    def _feature_groups(self) -> list[list[str]]:
        """Return the features that go together: many of one raw column, or one each of columns that go one way."""
        siblings: dict[tuple[str, Origin], int] = defaultdict(int)
        for name, origin in self._origins.items():
            siblings[self._maker[name], origin] += 1

        def coarse(name: str) -> Hashable:
            readers = tuple(self._readers[raw] for raw in self._origins[name].raw)
            return self._maker[name], self._origins[name].through, readers

        def fine(name: str) -> Hashable:
            origin = self._origins[name]
            return (self._maker[name], origin) if siblings[self._maker[name], origin] > 1 else coarse(name)

        found: list[list[str]] = []
        for names in _groups(self._graph.outputs, lambda name: self._maker[name], 0):
            groups = _groups(names, fine, MOST_ALONE)
            found += groups if len(groups) <= MOST_BOXES else _groups(names, coarse, MOST_ALONE)
        return found

    def _add(self, key: str, column: int, names: Sequence[str], detail: str, tone: str) -> None:
        """Add a box for one or several columns."""
        count = self._features(len(names)) if tone == "feature" else self._columns(len(names))
        hover = f"{count}:\n{self._listed(names)}" if len(names) > 1 else names[0]
        title = names[0] if len(names) == 1 else count
        told = detail if len(names) == 1 else ", ".join(names[:6])
        self._boxes.append(Box(key, column, title, told, f"{hover}\n{detail}".strip(), tone))

    def _columns(self, count: int) -> str:
        return self._words.ngettext("%(num)s column", "%(num)s columns", count) % {"num": f"{count:,}"}

    def _features(self, count: int) -> str:
        return self._words.ngettext("%(num)s feature", "%(num)s features", count) % {"num": f"{count:,}"}

    def _listed(self, names: Iterable[str]) -> str:
        listed = list(names)
        more = len(listed) - NAMES_ON_HOVER
        return "\n".join([*listed[:NAMES_ON_HOVER], *([f"… +{more:,}"] if more > 0 else [])])


def _form(column: RawColumn) -> str:
    """Return the name of what the canonicaliser does with a column."""
    return " ".join([column.native, column.kind, *(["folded"] if column.fold_case else []), column.unit])


def _groups(names: Iterable[str], key: Callable[[str], Hashable], most_alone: int) -> list[list[str]]:
    """Return `names` grouped by `key`, in order; a group of at most `most_alone` names falls apart into single ones."""
    found: dict[Hashable, list[str]] = {}
    for name in names:
        found.setdefault(key(name), []).append(name)
    return [
        part
        for group in found.values()
        for part in ([[name] for name in group] if len(group) <= most_alone else [group])
    ]
