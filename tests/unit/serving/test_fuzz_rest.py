"""Whatever is asked, REST answers in the documented form: by random bodies, and by what the OpenAPI document allows."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.services.asking import Asked, load

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
        asked.control.answers = {"status": {}, "samples": [], "sync": {}, "load": {}, "unload": {}, "shadow": {}}
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


def test_what_the_openapi_document_allows_is_answered_as_it_says(asked: Asked) -> None:
    schema = schemathesis.openapi.from_dict(asked.get("/openapi.json").json())
    tried: set[str] = set()

    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(FUZZ, max_examples=max(3, EXAMPLES // 20))
        @given(case=operation.as_strategy())
        def run(case: Any) -> None:
            sent = case.as_transport_kwargs(base_url="http://server")
            sent = {key: value for key, value in sent.items() if key in ("method", "url", "headers", "params", "json")}
            answer = asked.run(asked.http.request(**sent))
            check(answer)
            documented = case.operation.definition.raw["responses"]
            assert str(answer.status_code) in documented, answer.text

        run()
        tried.add(operation.label)
    assert {"POST /predict/late", "GET /metrics", "POST /aimass/models/late/versions/{version}/shadow"} <= tried
    assert "POST /v2/models/late/versions/{version}/infer" in tried
