"""``/aimass/…`` and ``/metrics`` in the OpenAPI document: what operators, pages and people ask the server itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic.json_schema import models_json_schema

from aimass.core.endpoints.status import MetricSample, ServerStatus, ShadowReport
from aimass.serving.openapi_parts import Document, get, parameter, post, ref

if TYPE_CHECKING:
    from pydantic import BaseModel

TAG = "Server"
_DOCUMENTS: tuple[type[BaseModel], ...] = (ServerStatus, MetricSample, ShadowReport)
_LABELS: Document = {
    "type": "object",
    "required": ["labels"],
    "additionalProperties": False,
    "properties": {
        "labels": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["request_id", "label"],
                "additionalProperties": False,
                "properties": {
                    "request_id": {"type": "string", "description": "The request, as X-Request-Id named it."},
                    "row": {"type": "integer", "minimum": 0, "maximum": 2**31, "description": "Its row, from 0."},
                    "label": {
                        "type": ["string", "integer", "boolean"],
                        "description": "As the training data spells it, or 0, 1, true, false.",
                    },
                },
            },
        }
    },
}
_SHADOW: Document = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"rows": {"type": "integer", "minimum": 1, "maximum": 100_000, "description": "Recent rows to try."}},
}


def admin_schemas() -> Document:
    """Return the schemas of the server's own documents, by name."""
    _, found = models_json_schema(
        [(model, "serialization") for model in _DOCUMENTS], ref_template="#/components/schemas/{model}"
    )
    defined: Document = found["$defs"]
    return defined


def admin_paths() -> Document:
    """Return the addresses that are of no single model."""
    since = parameter("since", "query", "Only what came after: a time in ISO 8601 with its offset.", format="date-time")
    samples = get("Run metrics, interval by interval", TAG, schema={"type": "array", "items": ref("MetricSample")})
    return {
        "/metrics": {"get": get("Metrics for Prometheus", TAG, schema={"type": "string"}, kind="text/plain")},
        "/aimass/status": {"get": get("What the server serves", TAG, schema=ref("ServerStatus"))},
        "/aimass/samples": {"get": {**samples, "parameters": [since]}},
        "/aimass/sync": {"post": post("Look at the registry now", TAG, schema=ref("ServerStatus"))},
    }


def of_model(name: str) -> Document:
    """Return the addresses of one model."""
    version = [parameter("version", "path", "Number of the version.", minLength=1, pattern="^[^/]+$")]
    taken: Document = {"type": "object", "properties": {"accepted": {"type": "integer"}}}
    at = f"/aimass/models/{name}"
    one = f"{at}/versions/{{version}}"
    status = ref("ServerStatus")
    return {
        f"{at}/labels": {"post": post(f"Take late labels of {name}", TAG, body=_LABELS, schema=taken)},
        f"{one}/load": {"post": post("Load a version", TAG, schema=status), "parameters": version},
        f"{one}/unload": {"post": post("Unload a version", TAG, schema=status), "parameters": version},
        f"{one}/shadow": {
            "post": post("Try a version on recent requests", TAG, body=_SHADOW, schema=ref("ShadowReport")),
            "parameters": version,
        },
    }
