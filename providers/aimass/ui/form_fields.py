"""The fields of a form as the page shows them, made from the same parameters that Airflow's trigger page shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aimass.core.sources.sample import ColumnPreview
from aimass.pipelines.forms import TrainForm, form_params

LEARN, IDENTIFY, TIME, LEAVE_OUT = "learn", "id", "time", "out"
ROLES = (LEARN, IDENTIFY, TIME, LEAVE_OUT)
# What the table of columns asks.
BY_COLUMN = ("target", "id_columns", "columns", "time_column")
ALMOST_ALL = 0.98


@dataclass(frozen=True)
class FormField:
    """One question.

    Attributes
    ----------
    name, title, help, section : str
        In English; the page translates them.
    kind : str
        text, number, choice, choices, lines or switch.
    choices : dict of str to str
        What may be chosen, and how it reads.
    value : object
        What is filled in.
    least, most : float or None
        Bounds of a number.
    required : bool
        Whether it may be left empty.
    mistakes : list of str
        What is wrong with it.
    """

    name: str
    title: str
    help: str
    section: str
    kind: str
    value: Any
    required: bool
    choices: dict[str, str] = field(default_factory=dict)
    least: float | None = None
    most: float | None = None
    mistakes: list[str] = field(default_factory=list)


class Roles(NamedTuple):
    """What each column is for.

    Attributes
    ----------
    target : str or None
        The column to be predicted, once somebody has said so.
    of : dict of str to str
        The role of each column: learn, id, time or out.
    """

    target: str | None
    of: dict[str, str]

    def learned(self) -> list[str]:
        """Return the columns to learn from."""
        return [name for name, role in self.of.items() if role == LEARN and name != self.target]


def form_fields(form: type[TrainForm], values: Mapping[str, Any], mistakes: Mapping[str, list[str]]) -> list[FormField]:
    """Return the questions of `form` that the table of columns does not ask, filled in with `values`."""
    params = {name: param for name, param in form_params(form).items() if name not in BY_COLUMN}
    return [_field(name, param, values, mistakes.get(name, [])) for name, param in params.items()]


def typed_values(form: type[TrainForm], answers: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return what a browser sent as the values that a conf holds; what is no number stays a text, to be refused."""
    return {
        name: _typed(param.schema, answers.get(name, []))
        for name, param in form_params(form).items()
        if name not in BY_COLUMN
    }


def suggest_roles(columns: Iterable[ColumnPreview], rows: int) -> Roles:
    """Guess what columns are for: the first moment is the time, what differs in every row identifies it."""
    of: dict[str, str] = {}
    for column in columns:
        is_moment = column.type in ("date", "time")
        if is_moment and TIME not in of.values():
            of[column.name] = TIME
        elif column.type in ("integer", "text") and rows > 20 and column.distinct >= ALMOST_ALL * rows:
            of[column.name] = IDENTIFY
        else:
            of[column.name] = LEARN
    return Roles(None, of)


def column_values(roles: Roles) -> dict[str, Any]:
    """Return what `roles` mean as fields of a form."""
    by_role = {role: [name for name, own in roles.of.items() if own == role and name != roles.target] for role in ROLES}
    return {
        "target": roles.target or "",
        "id_columns": by_role[IDENTIFY],
        "time_column": next(iter(by_role[TIME]), None),
        # Nothing left out means: all of them, whatever the rows beyond the sample bring.
        "columns": by_role[LEARN] if by_role[LEAVE_OUT] or len(by_role[TIME]) > 1 else [],
    }


def _field(name: str, param: Any, values: Mapping[str, Any], mistakes: list[str]) -> FormField:
    schema = param.schema
    shown = schema.get("values_display", {})
    allowed = schema.get("enum") or schema.get("examples") or []
    kind = _kind(schema)
    default = param.value if param.has_value else None
    return FormField(
        name=name,
        title=schema["title"],
        help=param.description or "",
        section=schema["section"],
        kind=kind,
        value=values.get(name, default),
        required=not param.has_value and "null" not in _types(schema),
        choices={choice: shown.get(choice, choice) for choice in allowed if choice is not None},
        least=schema.get("minimum"),
        most=schema.get("maximum"),
        mistakes=mistakes,
    )


def _kind(schema: Mapping[str, Any]) -> str:
    types = _types(schema)
    if "array" in types:
        return "choices" if schema.get("examples") else "lines"
    if "boolean" in types:
        return "switch"
    if types & {"integer", "number"}:
        return "number"
    return "choice" if schema.get("enum") else "text"


def _types(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("type", "string")
    return {kind} if isinstance(kind, str) else set(kind)


def _typed(schema: Mapping[str, Any], answers: list[str]) -> Any:
    kind = _kind(schema)
    if kind == "choices":
        return answers
    text = answers[0].strip() if answers else ""
    if kind == "switch":
        return bool(text)
    if kind == "lines":
        return [line for line in text.splitlines() if line.strip()]
    if not text:
        return None
    return _number(text, whole="integer" in _types(schema)) if kind == "number" else text


def _number(text: str, *, whole: bool) -> Any:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        return text
