"""Every call as data: what is sent, and how the answer is read. The synchronous and asynchronous clients share them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from aimass_client.answers import Inference, ModelMetadata, Prediction, ScoredRow
from aimass_client.errors import ClientError, ServerError, server_error
from aimass_client.tensors import Columns, binary_tensors, json_tensors, read_array

if TYPE_CHECKING:
    import httpx

LENGTH_HEADER = "Inference-Header-Content-Length"

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One call.

    Attributes
    ----------
    method, path, params, headers, body
        The request.
    read : callable
        Makes the result of a good answer.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)

    def request(self, client: httpx.Client | httpx.AsyncClient, *, timeout_s: float) -> httpx.Request:
        """Return the request of one attempt."""
        return client.build_request(
            self.method,
            self.path,
            content=self.body,
            headers=dict(self.headers),
            params=dict(self.params),
            timeout=timeout_s,
        )

    def result(self, response: httpx.Response) -> T:
        """Return what the answer says; raises the ServerError that it is, or a ClientError where it says nothing."""
        if not response.is_success:
            raise error_of(response)
        try:
            return self.read(response)
        except (ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
            raise ClientError(
                f"{response.url} answered {response.status_code} with what no inference server of AI Mass says: "
                f"{response.text[:200]!r}; expected: the address of one"
            ) from error


def error_of(response: httpx.Response) -> ServerError:
    """Return the error of an answer; a proxy's page is quoted, shortened."""
    try:
        document = response.json()
        message, code = str(document["error"]), str(document.get("code", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        message, code = f"HTTP {response.status_code}: {response.text[:200]}", ""
    after = response.headers.get("Retry-After", "")
    return server_error(
        response.status_code,
        message,
        code=code,
        request_id=response.headers.get("X-Request-Id", ""),
        retry_after_s=float(after) if after.replace(".", "", 1).isdigit() else None,
    )


def predict(
    model: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    version: str | None = None,
    alias: str | None = None,
    request_id: str | None = None,
    route_key: str | None = None,
) -> Call[Prediction]:
    """Score rows given as mappings."""
    params = {"version": version, "alias": alias}
    headers = {"Content-Type": "application/json", "X-Request-Id": request_id, "X-Route-Key": route_key}
    return Call(
        "POST",
        f"/predict/{quote(model, safe='')}",
        _prediction,
        _documents("rows", rows),
        {name: value for name, value in headers.items() if value is not None},
        {name: value for name, value in params.items() if value is not None},
    )


def _prediction(response: httpx.Response) -> Prediction:
    answer = response.json()
    return Prediction(
        model=answer["model"],
        version=answer["version"],
        alias=answer["alias"],
        request_id=answer["request_id"],
        rows=tuple(ScoredRow(row["probability"], row["label"]) for row in answer["predictions"]),
        digest=response.headers.get("X-Model-Digest", ""),
        is_deprecated=response.headers.get("Deprecation") == "true",
    )


def infer(
    model: str,
    columns: Columns,
    *,
    version: str | None = None,
    outputs: Sequence[str] = (),
    as_bytes: bool = False,
    request_id: str = "",
) -> Call[Inference]:
    """Score columns given as tensors, as JSON or as bytes."""
    head: dict[str, Any] = {"id": request_id} if request_id else {}
    bodies: list[bytes] = []
    if as_bytes:
        head["inputs"], bodies = binary_tensors(columns)
        for tensor, body in zip(head["inputs"], bodies, strict=True):
            tensor["parameters"] = {"binary_data_size": len(body)}
        head["parameters"] = {"binary_data_output": True}
    else:
        head["inputs"] = json_tensors(columns)
    if outputs:
        head["outputs"] = [{"name": name} for name in outputs]
    try:
        text = json.dumps(head).encode()
    except (TypeError, ValueError) as error:
        raise ClientError(f"The columns cannot be written as JSON: {error}") from error
    headers = {"Content-Type": "application/json"}
    if as_bytes:
        headers = {"Content-Type": "application/octet-stream", LENGTH_HEADER: str(len(text))}
    return Call("POST", f"{_model_path(model, version)}/infer", _inference, b"".join([text, *bodies]), headers)


def _inference(response: httpx.Response) -> Inference:
    place = int(response.headers.get(LENGTH_HEADER, len(response.content)))
    answer = json.loads(response.content[:place])
    outputs = {}
    for output in answer["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            outputs[output["name"]] = output["data"]
        else:
            outputs[output["name"]] = read_array(output["datatype"], response.content[place : place + size])
            place += size
    return Inference(answer["model_name"], answer["model_version"], answer["id"], outputs)


def label(model: str, labels: Sequence[Mapping[str, Any]]) -> Call[None]:
    """Tell what predictions should have been: mappings of ``request_id``, ``row`` (0 where not said) and ``label``."""
    body = _documents("labels", labels)
    path = f"/aimass/models/{quote(model, safe='')}/labels"
    return Call("POST", path, lambda _: None, body, {"Content-Type": "application/json"})


def metadata(model: str, version: str | None = None) -> Call[ModelMetadata]:
    """Return what the server says about a model."""
    return Call("GET", _model_path(model, version), _metadata)


def _metadata(response: httpx.Response) -> ModelMetadata:
    answer = response.json()
    return ModelMetadata(
        answer["name"],
        tuple(answer.get("versions", ())),
        answer["platform"],
        {tensor["name"]: tensor["datatype"] for tensor in answer["inputs"]},
        {tensor["name"]: tensor["datatype"] for tensor in answer["outputs"]},
    )


def status() -> Call[dict[str, Any]]:
    """Return what the server serves, as ``GET /aimass/status`` gives it."""
    return Call("GET", "/aimass/status", lambda response: dict(response.json()))


def live() -> Call[bool]:
    """Return whether the server's process answers."""
    return Call("GET", "/v2/health/live", lambda _: True)


def ready(model: str | None = None, version: str | None = None) -> Call[bool]:
    """Return whether the server, or a model of it, takes requests."""
    path = "/v2/health/ready" if model is None else f"{_model_path(model, version)}/ready"
    return Call("GET", path, lambda _: True)


def _documents(name: str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as a JSON document; raises ClientError where a value cannot be written."""
    try:
        return json.dumps({name: [dict(row) for row in rows]}).encode()
    except (TypeError, ValueError) as error:
        raise ClientError(f"The {name} cannot be sent: {_fault(rows) or error}") from error


def _fault(rows: Sequence[Any]) -> str:
    """Return which row is none, or which of its values JSON cannot say."""
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            return f"row {number} is of the type {type(row).__name__}; expected: a mapping of names to values"
        for name, value in row.items():
            try:
                json.dumps(value)
            except (TypeError, ValueError):
                kind = type(value).__name__
                return f"{name!r} of row {number} is of the type {kind}; expected: a text, a number, a boolean or None"
    return ""


def _model_path(model: str, version: str | None) -> str:
    path = f"/v2/models/{quote(model, safe='')}"
    return path if version is None else f"{path}/versions/{quote(version, safe='')}"
