"""The OpenAPI document of a server, made from the signatures of the models that it serves, and a page that shows it.

The page needs nothing from elsewhere: no script, no style sheet, no font.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape

from aimass import __version__
from aimass.core.features.raw import RawColumn
from aimass.serving.context import ModelTable
from aimass.serving.errors import ServingError
from aimass.serving.loaded import LoadedModel
from aimass.serving.openapi_admin import admin_paths, admin_schemas, of_model
from aimass.serving.openapi_parts import ERROR_STATUSES, Document, get, parameter, post, ref
from aimass.serving.tensors import DATATYPES

_ACCEPTS = {
    "string": (["string", "integer", "boolean", "null"], "Text; white space around it does not count."),
    "float": (["number", "string", "boolean", "null"], "A number, or a text that holds one."),
    "int": (["number", "string", "boolean", "null"], "A whole number, or a text that holds one."),
    "bool": (["boolean", "number", "string", "null"], "true or false, 1 or 0, or a text that says so."),
    "date": (["string", "integer", "boolean", "null"], "ISO 8601, UTC where there is no offset, or time since 1970."),
}
_SHARED: Document = {
    "Error": {
        "type": "object",
        "required": ["error", "code", "request_id"],
        "properties": {
            "error": {"type": "string", "description": "What was seen, what was expected, what to do."},
            "code": {"type": "string", "description": "The kind of error, for programs."},
            "request_id": {"type": "string"},
        },
    },
    "Predictions": {
        "type": "object",
        "required": ["model", "version", "alias", "request_id", "predictions"],
        "properties": {
            "model": {"type": "string"},
            "version": {"type": "string"},
            "alias": {"type": "string", "description": "Empty where the request named a version."},
            "request_id": {"type": "string"},
            "predictions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["probability", "label"],
                    "properties": {
                        "probability": {"type": ["number", "null"], "description": "Of the second class."},
                        "label": {"type": "string", "description": "Name of the class."},
                    },
                },
            },
        },
    },
    "Tensors": {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "minItems": 1, "items": ref("Tensor")},
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"enum": ["probability", "label"]}, "parameters": {"type": "object"}},
                },
            },
        },
    },
    "Tensor": {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 2},
            "datatype": {"enum": list(DATATYPES)},
            "data": {"type": "array"},
            "parameters": {"type": "object"},
        },
    },
}


def document(table: ModelTable) -> Document:
    """Return the OpenAPI document."""
    models = list(_models(table))
    paths: Document = {
        "/v2": {"get": get("What server this is", "Protocol")},
        "/v2/health/live": {"get": get("Whether the process answers", "Protocol")},
        "/v2/health/ready": {"get": get("Whether the server should get requests", "Protocol")},
        "/v2/repository/index": {method: get("The versions in memory", "Protocol") for method in ("get", "post")},
        **admin_paths(),
    }
    schemas = _SHARED | admin_schemas()
    for loaded in models:
        schemas[f"Row.{loaded.name}"] = row_schema(loaded, table.known_columns(loaded.name))
        paths |= _paths(loaded.name) | of_model(loaded.name)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AI Mass inference server",
            "version": __version__,
            "description": "Open Inference Protocol v2, and rows as JSON objects under /predict.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                str(status): {
                    "description": text,
                    "content": {"application/json": {"schema": ref("Error")}},
                }
                for status, text in ERROR_STATUSES.items()
            },
        },
        "security": [{}, {"token": []}],
    }


def row_schema(loaded: LoadedModel, known: frozenset[str]) -> Document:
    """Return the JSON schema of a row; `known` are the columns of the model's other versions, which are ignored."""
    own = {column.name: column_schema(column) for column in loaded.columns}
    others = {name: {"description": "Of another version; ignored."} | _ANY_CELL for name in sorted(known - set(own))}
    return {"type": "object", "required": list(own), "properties": own | others, "additionalProperties": False}


_ANY_CELL: Document = {"type": ["string", "number", "boolean", "null"]}


def column_schema(column: RawColumn) -> Document:
    """Return the JSON schema of a cell; what cannot be read as the column's kind is a missing value."""
    types, text = _ACCEPTS[column.kind]
    schema: Document = {"type": types, "description": f"{text} null where it is missing."}
    if column.kind == "string":
        schema["pattern"] = "^(?!\\u0000null$)"  # the reserved text
    return schema


def _models(table: ModelTable) -> Iterator[LoadedModel]:
    for name in table.names():
        try:
            yield table.resolve(name).loaded
        except ServingError:
            continue  # not in memory now: its signature is not known to this worker


def _paths(name: str) -> Document:
    """Return the addresses of one model."""
    rows: Document = {
        "type": "object",
        "required": ["rows"],
        "additionalProperties": False,
        "properties": {"rows": {"type": "array", "minItems": 1, "items": ref(f"Row.{name}")}},
    }
    predict = post(f"Score rows with {name}", "Rows", body=rows, schema=ref("Predictions"))
    choice = [
        parameter("version", "query", "Number of the version that answers.", minLength=1),
        parameter("alias", "query", "Alias that answers, where no version is named.", minLength=1),
    ]
    paths: Document = {f"/predict/{name}": {"post": {**predict, "parameters": choice}}}
    version = parameter("version", "path", "Number of the version.", minLength=1, pattern="^[^/]+$")
    for address, shared in (
        (f"/v2/models/{name}", {}),
        (f"/v2/models/{name}/versions/{{version}}", {"parameters": [version]}),
    ):
        paths |= {
            address: {"get": get("Inputs and outputs", "Protocol"), **shared},
            f"{address}/ready": {"get": get("Whether it is in memory", "Protocol"), **shared},
            f"{address}/infer": {"post": post(f"Score tensors with {name}", "Protocol", body=ref("Tensors")), **shared},
        }
    return paths


def page(table: ModelTable) -> str:
    """Return the page."""
    models = "".join(_model_section(loaded) for loaded in _models(table))
    return _PAGE.format(version=escape(__version__), models=models or "<p>No model is in memory.</p>")


def _model_section(loaded: LoadedModel) -> str:
    example = {"rows": [{column.name: None for column in loaded.columns}]}
    rows = "".join(
        f"<tr><td><code>{escape(column.name)}</code></td><td>{escape(column.type)}</td>"
        f"<td>{escape(_ACCEPTS[column.kind][1])}</td></tr>"
        for column in loaded.columns
    )
    name = escape(loaded.name)
    shown = escape(json.dumps(example, indent=1, ensure_ascii=False))
    return (
        f"<h2>{name}</h2><p>Version {escape(loaded.version)}, classes {escape(', '.join(loaded.classes))}, "
        f"threshold {loaded.threshold:.6g}.</p>"
        f"<p><code>POST /predict/{name}</code></p><pre>{shown}</pre>"
        f"<table><tr><th>Column</th><th>Type</th><th>What it takes; null where it is missing</th></tr>{rows}</table>"
    )


_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>AI Mass inference server</title>
<meta name="viewport" content="width=device-width"><style>
body{{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2733}}
table{{border-collapse:collapse}}td,th{{border-bottom:1px solid #d5dde5;padding:.3rem .8rem .3rem 0;text-align:left}}
pre{{background:#f3f6f9;padding:1rem;overflow:auto}}</style></head><body>
<h1>AI Mass inference server {version}</h1>
<p>Rows as JSON objects under <code>/predict/&lt;model&gt;</code>; tensors by the Open Inference Protocol v2 under
<code>/v2</code>. The document for programs is <a href="openapi.json">openapi.json</a>.</p>
{models}</body></html>"""
