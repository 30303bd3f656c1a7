"""REST as a client sees it: answers, headers, and every mistake with its status, code and sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass.core.errors import NotFoundError, UnreachableError
from aimass.serving.security import Token, Tokens
from tests.services.asking import Asked, load
from tests.services.folder_registry import ROW


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    asked = Asked(body_limit_mb=0.1, queue_rows=50, max_batch_rows=8)
    asked.table.put(load(tmp_path))
    asked.table.put(load(tmp_path, "2", bias=1.0), "challenger")
    yield asked
    asked.close()


def check_refusal(answer: Any, status: int, code: str, *words: str) -> dict[str, Any]:
    document: dict[str, Any] = answer.json()
    assert answer.status_code == status, document
    assert document["code"] == code
    assert document["request_id"] == answer.headers["x-request-id"]
    for word in words:
        assert word in document["error"]
    return document


def test_rows_are_answered_with_class_names_by_the_champion(asked: Asked) -> None:
    answer = asked.predict(ROW, {**ROW, "distance": None}, headers={"X-Request-Id": "mine-1"})
    assert answer.status_code == 200
    document = answer.json()
    assert [document[key] for key in ("model", "version", "alias", "request_id")] == ["late", "1", "champion", "mine-1"]
    loaded = asked.table.resolve("late").loaded
    probability, label = loaded.run(loaded.encoder.encode([ROW]))
    assert document["predictions"][0] == {"probability": float(probability[0]), "label": loaded.classes[label[0]]}
    assert answer.headers["x-model-version"] == "1"
    assert answer.headers["x-model-digest"] == "1" * 64
    assert answer.headers["content-type"] == "application/json"
    assert "deprecation" not in answer.headers


def test_a_request_may_name_version_or_alias(asked: Asked) -> None:
    by_version = asked.predict(ROW, query="?version=2").json()
    by_alias = asked.predict(ROW, query="?alias=challenger").json()
    assert (by_version["version"], by_version["alias"]) == ("2", "")
    assert (by_alias["version"], by_alias["alias"]) == ("2", "challenger")
    assert by_version["predictions"] == by_alias["predictions"] != asked.predict(ROW).json()["predictions"]


def test_a_deprecated_version_says_so(asked: Asked) -> None:
    asked.table.deprecated.add(("late", "2"))
    assert asked.predict(ROW, query="?version=2").headers["deprecation"] == "true"


def test_every_answer_is_in_the_journal_with_its_rows(asked: Asked) -> None:
    answer = asked.predict(ROW, ROW).json()
    (record,) = asked.journal.records
    assert record.request_id == answer["request_id"]
    assert record.block.n_rows == len(record.probability) == 2
    assert record.resolved.alias == "champion"
    assert 0 < record.latency_ms < 10_000
    assert asked.table.resolve("late").loaded.requests == 1


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (b"", 400, "malformed", ["not JSON"]),
        (b"\xff\xfe", 400, "malformed", ["not JSON"]),
        (b"[]", 400, "malformed", ["does not fit"]),
        (b'{"rows": []}', 400, "malformed", ["no rows"]),
        (b'{"rows": [1]}', 400, "malformed", ["$.rows[0]"]),
        (b'{"rows": [{}], "more": 1}', 400, "malformed", ["more"]),
        (b'{"rows": [{"origin": NaN}]}', 400, "malformed", ["not JSON"]),
        (b'{"rows":' + b"[" * 50_000, 400, "malformed", ["rows"]),
        (b'{"rows":[{"origin":' + b"[" * 50_000, 400, "malformed", ["recursion"]),
        (b'{"rows": [{"origin": "JFK"}]}', 422, "invalid_rows", ["'distance'", "row 0", "Known: origin"]),
        (b'{"rows": [{"origin": ["JFK"]}]}', 422, "invalid_rows", ["Row 0", "'origin'", '["JFK"]']),
        (b'{"rows": [{"origin": 1e999}]}', 422, "invalid_rows", ["Row 0", "out of range"]),
    ],
)  # fmt: skip
def test_a_bad_body_is_refused_with_what_is_wrong(
    asked: Asked, body: bytes, status: int, code: str, words: list[str]
) -> None:
    answer = asked.run(asked.http.post("/predict/late", content=body, headers={"Content-Type": "application/json"}))
    check_refusal(answer, status, code, *words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"origin": 1.5}, ["Row 1", "'origin'", "a float"]),
        ({"orign": "JFK"}, ["'orign'", "Did you mean 'origin'?"]),
        ({"origin": "\u0000null"}, ["reserved"]),
    ],
)
def test_rows_that_do_not_fit_are_refused(asked: Asked, change: dict[str, Any], words: list[str]) -> None:
    check_refusal(asked.predict(ROW, ROW | change), 422, "invalid_rows", *words)


def test_a_column_that_another_version_knows_is_left_aside(asked: Asked, tmp_path: Path) -> None:
    row = {**ROW, "delay": 3.0}
    check_refusal(asked.predict(row), 422, "invalid_rows", "'delay'")
    asked.table.put(load(tmp_path, "3", extra="delay"), "previous")
    assert asked.predict(row).json()["version"] == "1"
    more = {"name": "delay", "shape": [2], "datatype": "FP64", "data": [1, 2]}
    assert asked.post("/v2/models/late/infer", tensors() | {"inputs": [*tensors()["inputs"], more]}).status_code == 200
    check_refusal(asked.predict(ROW, query="?version=3"), 422, "invalid_rows", "'delay' is not in row 0")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/predict/lat", 404, "model_not_found"),
        ("POST", "/predict/late?version=7", 404, "version_not_found"),
        ("POST", "/predict/late?alias=nope", 404, "version_not_found"),
        ("POST", "/predict/late?version=7&alias=champion", 404, "version_not_found"),
        ("POST", "/predict/late?versoin=1", 400, "malformed"),
        ("POST", "/predict/late?version=", 400, "malformed"),
        ("GET", "/predict/late", 405, "method_not_allowed"),
        ("GET", "/predict/", 404, "route_not_found"),
        ("GET", "/v2/models/late/versions/1/nothing", 404, "route_not_found"),
        ("GET", "/v2/models/nope", 404, "model_not_found"),
        ("POST", "/v2/models/nope/infer", 400, "malformed"),
    ],
)
def test_what_is_not_there_is_said_so(asked: Asked, method: str, path: str, status: int, code: str) -> None:
    body = {"rows": [ROW]} if method == "POST" else None
    check_refusal(asked.run(asked.http.request(method, path, json=body)), status, code)


def test_the_allowed_methods_are_named(asked: Asked) -> None:
    assert asked.get("/predict/late").headers["allow"] == "POST"


def test_another_media_type_is_refused(asked: Asked) -> None:
    check_refusal(asked.post("/predict/late", content=b"a=b", headers={"Content-Type": "text/csv"}), 415, "media_type")


def test_a_body_beyond_the_limit_is_refused_announced_or_not(asked: Asked) -> None:
    headers = {"Content-Type": "application/json"}
    check_refusal(asked.post("/predict/late", content=b"x" * 200_000, headers=headers), 413, "too_large", "200000")

    async def pieces() -> Any:
        for _ in range(40):
            yield b"x" * 10_000

    check_refusal(asked.post("/predict/late", content=pieces(), headers=headers), 413, "too_large")


def test_what_is_on_demand_is_loaded_for_the_request(asked: Asked, tmp_path: Path) -> None:
    asked.table.on_demand["late", "9"] = load(tmp_path, "9")
    assert asked.predict(ROW, query="?version=9").json()["version"] == "9"


def test_a_draining_server_refuses_and_says_when_to_ask_again(asked: Asked) -> None:
    asked.context.draining = True
    answer = asked.predict(ROW)
    check_refusal(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert asked.get("/v2/health/live").status_code == 200
    assert asked.get("/v2/health/ready").json() == {"ready": False, "reason": "the server is draining"}


def test_readiness_says_why_not(asked: Asked) -> None:
    assert asked.get("/v2/health/ready").json() == {"ready": True, "reason": ""}
    asked.table.why_not_ready = "nothing is loaded yet"
    answer = asked.get("/v2/health/ready")
    assert (answer.status_code, answer.json()["reason"]) == (503, "nothing is loaded yet")


def test_the_protocol_describes_models_and_lists_versions(asked: Asked) -> None:
    document = asked.get("/v2/models/late").json()
    assert document["versions"] == ["1", "2"]
    assert [each["name"] for each in document["inputs"]] == ["origin", "distance", "stops"]
    assert asked.get("/v2/models/late/versions/2/ready").json()["ready"] is True
    index = asked.get("/v2/repository/index").json()
    assert [(each["name"], each["version"], each["state"]) for each in index] == [
        ("late", "1", "READY"),
        ("late", "2", "READY"),
    ]
    assert asked.get("/v2").json()["name"] == "aimass"


def tensors(**parameters: Any) -> dict[str, Any]:
    return {
        "id": "tensors-1",
        "inputs": [
            {"name": "origin", "shape": [2], "datatype": "BYTES", "data": [" JFK", None]},
            {"name": "distance", "shape": [2, 1], "datatype": "FP64", "data": [[0.25], [None]]},
            {"name": "stops", "shape": [2], "datatype": "INT64", "data": [1, None]},
        ],
        "parameters": parameters,
    }


def test_tensors_get_the_answer_that_rows_get(asked: Asked) -> None:
    document = asked.post("/v2/models/late/infer", tensors()).json()
    assert (document["model_name"], document["model_version"], document["id"]) == ("late", "1", "tensors-1")
    rows = asked.predict(ROW, dict.fromkeys(ROW)).json()["predictions"]
    assert document["outputs"][0]["data"] == [row["probability"] for row in rows]


def test_tensors_may_be_bytes_both_ways(asked: Asked) -> None:
    plain = asked.post("/v2/models/late/versions/2/infer", tensors()).json()
    answer = asked.post("/v2/models/late/versions/2/infer", tensors(binary_data_output=True))
    length = int(answer.headers["inference-header-content-length"])
    head = json.loads(answer.content[:length])
    assert head["outputs"][0]["parameters"]["binary_data_size"] == 8
    values = np.frombuffer(answer.content[length : length + 8], "<f4")
    assert values.tolist() == plain["outputs"][0]["data"]
    assert answer.headers["x-model-version"] == "2"


def test_a_wrong_header_length_is_malformed(asked: Asked) -> None:
    headers = {"Inference-Header-Content-Length": "-5", "Content-Type": "application/octet-stream"}
    check_refusal(asked.post("/v2/models/late/infer", content=b"{}", headers=headers), 400, "malformed", "-5")


def test_the_supervisor_answers_what_concerns_the_server(asked: Asked) -> None:
    asked.control.answers = {
        "status": {"server_id": "here"},
        "samples": [],
        "sync": {},
        "load": {},
        "shadow": NotFoundError("No version 9 of late"),
        "labels": {"accepted": 1},
        "unload": UnreachableError("The registry does not answer"),
    }
    assert asked.get("/aimass/status").json() == {"server_id": "here"}
    assert asked.get("/aimass/samples?since=2026-01-31T12:00:00Z").json() == []
    check_refusal(asked.get("/aimass/samples?since=yesterday"), 400, "malformed", "yesterday")
    assert asked.post("/aimass/models/late/versions/2/load").status_code == 200
    check_refusal(asked.post("/aimass/models/late/versions/9/shadow", {"rows": 5}), 404, "not_found", "No version 9")
    check_refusal(asked.post("/aimass/models/late/versions/9/shadow", {"rows": 0}), 422, "invalid_rows")
    refusal = asked.post("/aimass/models/late/versions/9/unload")
    check_refusal(refusal, 503, "unavailable")
    labels = {"labels": [{"request_id": "r", "label": True}]}
    assert asked.post("/aimass/models/late/labels", labels).json() == {"accepted": 1}
    check_refusal(asked.post("/aimass/models/late/labels", {"labels": [{"row": 1}]}), 400, "malformed", "request_id")
    assert asked.control.calls[-1] == (
        "labels",
        {"model": "late", "labels": [{"request_id": "r", "label": True, "row": 0}]},
    )


def test_what_nobody_foresaw_is_told_without_its_text(asked: Asked) -> None:
    asked.control.answers = {"status": RuntimeError("secret words")}
    document = check_refusal(asked.get("/aimass/status"), 500, "internal")
    assert "secret" not in document["error"]


def test_metrics_count_requests_and_refusals_under_names_of_ours(asked: Asked) -> None:
    asked.predict(ROW, ROW)
    asked.predict({})
    asked.post("/predict/made-up", {"rows": [ROW]})
    text = asked.get("/metrics").text
    assert 'aimass_requests_total{model="late",protocol="rest",token="",version="1"} 1.0' in text
    assert 'aimass_rows_total{model="late",version="1"} 2.0' in text
    assert 'aimass_errors_total{code="invalid_rows",model="late",protocol="rest"} 1.0' in text
    assert 'aimass_errors_total{code="model_not_found",model="",protocol="rest"} 1.0' in text
    assert 'aimass_request_seconds_count{model="late"} 1.0' in text
    assert "made-up" not in text
    assert asked.engine.metrics.snapshot()["late"]["versions"] == {"1": 1}


def test_tokens_open_what_they_are_for(tmp_path: Path) -> None:
    def digest(secret: str) -> str:
        return hashlib.sha256(secret.encode()).hexdigest()

    tokens = Tokens([Token("all", digest("a")), Token("one", digest("b"), frozenset({"late"}))])
    asked = Asked(tokens)
    asked.table.put(load(tmp_path))
    asked.control.answers = {"status": {}}
    try:
        refusal = asked.predict(ROW)
        check_refusal(refusal, 401, "unauthenticated", "Authorization: Bearer")
        assert refusal.headers["www-authenticate"] == "Bearer"
        check_refusal(asked.predict(ROW, headers={"Authorization": "Bearer x"}), 401, "unauthenticated")
        check_refusal(asked.predict(ROW, headers={"Authorization": "Basic a"}), 401, "unauthenticated")
        one = {"Authorization": "Bearer b"}
        assert asked.predict(ROW, headers=one).status_code == 200
        check_refusal(asked.get("/aimass/status", headers=one), 403, "forbidden", "'one'")
        check_refusal(asked.get("/v2/models/other", headers=one), 403, "forbidden", "'other'")
        assert asked.get("/aimass/status", headers={"Authorization": "Bearer a"}).status_code == 200
        assert asked.get("/v2/health/ready").status_code == 200
        assert 'token="one"' in asked.get("/metrics", headers={"Authorization": "Bearer a"}).text
    finally:
        asked.close()


def test_the_documents_for_people_and_programs_name_every_column(asked: Asked) -> None:
    page = asked.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for word in ("distance", "/predict/late", "null where it is missing"):
        assert word in page.text
    assert "http" not in page.text.replace("http-equiv", "")
    schema = asked.get("/openapi.json").json()["components"]["schemas"]["Row.late"]
    assert schema["required"] == ["origin", "distance", "stops"]
    assert schema["additionalProperties"] is False
