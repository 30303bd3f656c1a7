"""Pieces of which the OpenAPI document is made: operations, and the answers that all of them may give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Document = dict[str, Any]

ERROR_STATUSES = {
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
GET_STATUSES = (400, 401, 403, 404, 503)


def parameter(name: str, where: str, text: str, **schema: Any) -> Document:
    """Return a parameter: a text in the `where` of the address (``query``, ``path``)."""
    shown = {"type": "string", **schema}
    return {"name": name, "in": where, "required": where == "path", "schema": shown, "description": text}


def get(summary: str, tag: str, *, schema: Document | None = None, kind: str = "application/json") -> Document:
    """Return the operation of a GET."""
    return {"summary": summary, "tags": [tag], "responses": responses(schema, GET_STATUSES, kind)}


def post(summary: str, tag: str, *, body: Document | None = None, schema: Document | None = None) -> Document:
    """Return the operation of a POST; `body` is the schema of what is sent."""
    operation: Document = {"summary": summary, "tags": [tag], "responses": responses(schema, ERROR_STATUSES)}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def responses(schema: Document | None, errors: Iterable[int], kind: str = "application/json") -> Mapping[str, Document]:
    """Return the answers: the good one, and the errors with the statuses `errors`."""
    refused = {str(status): {"$ref": f"#/components/responses/{status}"} for status in errors}
    return {"200": {"description": "The answer.", "content": {kind: {"schema": schema or {}}}}} | refused


def ref(name: str) -> Document:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}
