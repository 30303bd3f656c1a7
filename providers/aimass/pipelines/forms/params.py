"""From a form's fields to the parameters of a DAG, which Airflow's trigger page shows as typed fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

if TYPE_CHECKING:
    from pydantic import BaseModel


def form_params(form: type[BaseModel]) -> dict[str, Param]:
    """Return a parameter for each field of `form`: title, section, choices and bounds come with it.

    A list with choices becomes a multi-select, another list a text box with one entry a line. The form's own fields
    stand before those that it shares with others.
    """
    schema = form.model_json_schema()
    required = set(schema.get("required", ()))
    own = [name for name in schema["properties"] if name in form.__annotations__]
    names = dict.fromkeys([*own, *schema["properties"]])
    return {name: _param(schema["properties"][name], is_required=name in required) for name in names}


def _param(field: Mapping[str, Any], *, is_required: bool) -> Param:
    shape = _flat(field)
    default = {} if is_required else {"default": shape.pop("default", None)}
    shape.pop("default", None)
    return Param(description=shape.pop("description"), **default, **shape)


def _flat(field: Mapping[str, Any]) -> dict[str, Any]:
    """Return one schema where pydantic writes ``anyOf`` a type and null; choices where the trigger page looks for them.

    Raises
    ------
    TypeError
        The field is neither text, number, yes-or-no nor a list of texts: it would be a box for JSON.
    """
    shape = {key: value for key, value in field.items() if key != "anyOf"}
    kinds = [one for one in field.get("anyOf", ()) if one != {"type": "null"}]
    for one in kinds:
        shape.update(one)
    optional = len(kinds) < len(field.get("anyOf", ()))
    if shape.get("type") == "array" and shape.get("items", {}).get("type") == "string":
        shape["items"] = dict(shape["items"])
        choices = shape["items"].pop("enum", None)
        shape.update({"examples": choices} if choices else {})
        # The page sends null for a list that was emptied.
        optional = optional or not shape.get("minItems")
    elif shape.get("type") not in ("string", "integer", "number", "boolean"):
        raise TypeError(f"The field {field.get('title')!r} has no place on a flat form: {field}")
    choices = shape.get("examples", shape.get("enum", ()))
    if choices:
        shape.setdefault("values_display", {name: name.replace("_", " ") for name in choices})
    if optional:
        shape["type"] = [shape["type"], "null"]
        if "enum" in shape:
            shape["enum"] = [*shape["enum"], None]
            shape["values_display"] = {**shape["values_display"], "null": "–"}
    return shape
