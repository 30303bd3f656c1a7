"""The OpenAPI document of a server, made from the signatures of the models that it serves, and a page that shows it.

The page needs nothing from elsewhere: no script, no style sheet, no font.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from aimass import __version__
from aimass.core.features.raw import RawColumn
from aimass.serving.context import ModelTable
from aimass.serving.errors import ServingError
from aimass.serving.loaded import LoadedModel
from aimass.serving.tensors import DATATYPES

Document = dict[str, Any]

_ACCEPTS = {
    "string": (["string", "integer", "boolean", "null"], "Text; white space around it does not count."),
    "float": (["number", "string", "boolean", "null"], "A number, or a text that holds one."),
    "int": (["number", "string", "boolean", "null"], "A whole number, or a text that holds one."),
    "bool": (["boolean", "number", "string", "null"], "true or false, 1 or 0, or a text that says so."),
    "date": (["string", "integer", "boolean", "null"], "ISO 8601, UTC where there is no offset, or time since 1970."),
}
_ERROR_STATUSES = {
    400: "The request cannot be read.",
    401: "No token, or one that nobody issued.",
    403: "The token is not for this.",
    404: "No such model or version.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    422: "The rows do not fit the model's signature.",
    429: "Too many rows wait; Retry-After says when to ask again.",
    503: "Draining, or not loaded yet; Retry-After says when to ask again.",
    504: "The answer was not ready in time.",
}
_GETS = (400, 401, 403, 404, 503)
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
            "inputs": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Tensor"}},
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
        "/v2": {"get": _get("What server this is", "Protocol")},
        "/v2/health/live": {"get": _get("Whether the process answers", "Protocol")},
        "/v2/health/ready": {"get": _get("Whether the server should get requests", "Protocol")},
        "/v2/repository/index": {method: _get("The versions in memory", "Protocol") for method in ("get", "post")},
    }
    schemas = dict(_SHARED)
    for loaded in models:
        schemas[f"Row.{loaded.name}"] = row_schema(loaded, table.known_columns(loaded.name))
        paths |= _paths(loaded.name)
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
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
                for status, text in _ERROR_STATUSES.items()
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
    rows = {
        "type": "object",
        "required": ["rows"],
        "additionalProperties": False,
        "properties": {"rows": {"type": "array", "minItems": 1, "items": {"$ref": f"#/components/schemas/Row.{name}"}}},
    }
    choice = [
        {"name": each, "in": "query", "schema": {"type": "string", "minLength": 1}, "description": text}
        for each, text in (
            ("version", "Number of the version that answers."),
            ("alias", "Alias that answers, where no version is named."),
        )
    ]
    return {
        f"/predict/{name}": {
            "post": {
                "summary": f"Score rows with {name}",
                "tags": ["Rows"],
                "parameters": choice,
                "requestBody": {"required": True, "content": {"application/json": {"schema": rows}}},
                "responses": _responses("Predictions", _ERROR_STATUSES),
            }
        },
        f"/v2/models/{name}": {"get": _get("Inputs and outputs", "Protocol")},
        f"/v2/models/{name}/ready": {"get": _get("Whether the model is in memory", "Protocol")},
        f"/v2/models/{name}/infer": {
            "post": {
                "summary": f"Score tensors with {name}",
                "tags": ["Protocol"],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Tensors"}}},
                },
                "responses": _responses(None, _ERROR_STATUSES),
            }
        },
    }


def _get(summary: str, tag: str) -> Document:
    return {"summary": summary, "tags": [tag], "responses": _responses(None, _GETS)}


def _responses(schema: str | None, errors: Any) -> Document:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"} if schema else {}}}
    refused = {str(status): {"$ref": f"#/components/responses/{status}"} for status in errors}
    return {"200": {"description": "The answer.", "content": content}} | refused


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
