"""Whatever is asked, REST answers in the documented form: by random bodies, and by what the OpenAPI document allows."""

from __future__ import annotations

import json
import os
import struct
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from aimass.core.endpoints.status import MetricSample, RegistryStatus, ServerStatus, ShadowReport
from aimass.serving.tensors import DATATYPES
from tests.services.asking import Asked, load

NOW = datetime(2026, 1, 2, tzinfo=UTC)
EXAMPLES = int(os.environ.get("AIMASS_FUZZ_EXAMPLES", "60"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)

scalars = st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=8)
names = st.sampled_from(["origin", "distance", "stops", "stop", ""])
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
rows = st.lists(st.dictionaries(names, scalars | anything, max_size=4), max_size=3)


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(body_limit_mb=0.1)
        asked.table.put(load(Path(folder)))
        status = ServerStatus(server_id="s", started_at=NOW, generation=1, registry=RegistryStatus(reachable=True))
        trial = ShadowReport(model="late", version="1", against="", rows=1, ok=True)
        answers: dict[str, BaseModel] = dict.fromkeys(("status", "sync", "load", "unload"), status)
        answers["shadow"] = trial
        asked.control.answers = {name: answer.model_dump(mode="json") for name, answer in answers.items()}
        asked.control.answers["samples"] = [MetricSample(at=NOW, interval_s=10.0).model_dump(mode="json")]
        asked.control.answers["labels"] = {"accepted": 1}
        yield asked
        asked.close()


def check(answer: Any) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        document = answer.json()
        assert set(document) == {"error", "code", "request_id"}
        assert document["request_id"] == answer.headers["x-request-id"]
        assert len(document["error"]) < 5000


@FUZZ
@given(st.binary(max_size=200))
def test_any_bytes(asked: Asked, body: bytes) -> None:
    check(asked.post("/predict/late", content=body, headers={"Content-Type": "application/json"}))


@FUZZ
@given(rows | anything)
def test_any_rows(asked: Asked, given_rows: Any) -> None:
    body = json.dumps({"rows": given_rows}).encode()
    check(asked.post("/predict/late", content=body, headers={"Content-Type": "application/json"}))


@FUZZ
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.text(max_size=30))
def test_any_address(asked: Asked, path: str, query: str) -> None:
    for start in ("/", "/v2/models/", "/predict/", "/aimass/models/"):
        check(asked.get(start + quote(path), params={"version": query}))


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def request_of(case: schemathesis.Case) -> dict[str, Any]:
    """Return what httpx is to send."""
    sent = case.as_transport_kwargs(base_url="http://server")
    found = {key: sent[key] for key in ("method", "url", "headers", "params", "json") if key in sent}
    if isinstance(sent.get("data"), str | bytes):
        found["content"] = sent["data"]
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_what_the_openapi_document_allows_or_forbids_is_answered_as_it_says(
    asked: Asked, mode: schemathesis.GenerationMode
) -> None:
    schema = schemathesis.openapi.from_dict(asked.get("/openapi.json").json())
    tried: dict[str, int] = {}

    for result in schema.get_all_operations():
        operation = result.ok()
        path: dict[str, Any] = {}
        if mode is schemathesis.GenerationMode.NEGATIVE:
            if not operation.body and not operation.query:
                continue  # takes nothing that could be wrong
            # Hardly any text is wrong in a path, so that looking for some takes minutes.
            path = {"path_parameters": {"version": "1"}} if operation.path_parameters else {}

        @FUZZ
        @given(case=operation.as_strategy(generation_mode=mode, **path))
        def run(case: schemathesis.Case) -> None:
            answer = asked.run(asked.http.request(**request_of(case)))
            check(answer)
            case.validate_response(answer, checks=CHECKS)
            tried[case.operation.label] = tried.get(case.operation.label, 0) + 1

        run()
    assert tried.keys() >= {"POST /predict/late", "POST /aimass/models/late/versions/{version}/shadow"}
    assert "POST /v2/models/late/versions/{version}/infer" in tried
    if mode is schemathesis.GenerationMode.POSITIVE:
        assert "GET /metrics" in tried


datatypes = st.sampled_from([*DATATYPES, "FP8"])
sizes = st.integers(-1, 40)
binary_inputs = st.fixed_dictionaries(
    {"name": names, "shape": st.lists(st.integers(-1, 4), max_size=2), "datatype": datatypes},
    optional={"parameters": st.fixed_dictionaries({"binary_data_size": sizes | scalars}), "data": anything},
)


@FUZZ
@given(st.lists(binary_inputs, max_size=4), st.binary(max_size=80), st.integers(-3, 3) | st.none())
def test_any_binary_tensors(asked: Asked, inputs: list[dict[str, Any]], tail: bytes, off: int | None) -> None:
    head = json.dumps({"inputs": inputs}).encode()
    length = {} if off is None else {"Inference-Header-Content-Length": str(len(head) + off)}
    headers = {"Content-Type": "application/octet-stream", **length}
    check(asked.post("/v2/models/late/infer", content=head + tail, headers=headers))


@FUZZ
@given(st.integers(1, 4), st.data())
def test_binary_tensors_of_the_right_form_are_answered(asked: Asked, n_rows: int, data: st.DataObject) -> None:
    raw = {
        "origin": b"".join(struct.pack("<I", len(text)) + text for text in [b"JFK"] * n_rows),
        "distance": data.draw(st.binary(min_size=8 * n_rows, max_size=8 * n_rows)),
        "stops": data.draw(st.binary(min_size=8 * n_rows, max_size=8 * n_rows)),
    }
    kinds = {"origin": "BYTES", "distance": "FP64", "stops": "INT64"}
    inputs = [
        {"name": name, "shape": [n_rows], "datatype": kinds[name], "parameters": {"binary_data_size": len(part)}}
        for name, part in raw.items()
    ]
    head = json.dumps({"inputs": inputs}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    answer = asked.post("/v2/models/late/infer", content=head + b"".join(raw.values()), headers=headers)
    check(answer)
    assert answer.status_code in (200, 422), answer.text
