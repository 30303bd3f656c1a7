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
    shapes = {name: flat_shape(schema["properties"][name], is_required=name in required) for name in names}
    return {name: Param(**shape) for name, shape in shapes.items()}


def flat_shape(field: Mapping[str, Any], *, is_required: bool) -> dict[str, Any]:
    """Return the schema of a field as the trigger page understands it; only one that is required has no default.

    Raises
    ------
    TypeError
        The field is neither text, number, yes-or-no nor a list of texts: it would be a box for JSON.
    """
    shape = _flat(field)
    default = {} if is_required else {"default": shape.get("default")}
    return {**{key: value for key, value in shape.items() if key != "default"}, **default}


def _flat(field: Mapping[str, Any]) -> dict[str, Any]:
    """Return one schema for ``anyOf`` a type and null, with its choices where the trigger page looks for them."""
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
