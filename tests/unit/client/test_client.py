"""The client against scripted answers: what is sent, what is read, what is tried again, what is raised."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest

from aimass_client import (
    AsyncClient,
    Client,
    ClientError,
    Connection,
    ForbiddenError,
    InternalError,
    InvalidRowsError,
    MalformedError,
    NotFoundError,
    QueueFullError,
    ServerError,
    TimedOutError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
)
from aimass_client.calls import LENGTH_HEADER
from aimass_client.grpc_asynchronous import AsyncGrpcClient
from aimass_client.grpc_client import GrpcClient

ANSWER = {
    "model": "late",
    "version": "3",
    "alias": "champion",
    "request_id": "r-1",
    "predictions": [{"probability": 0.25, "label": "no"}],
}


class Script(httpx.BaseTransport):
    """Answers with each of `answers` in turn, the last one for ever; keeps the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def client(self, **options: Any) -> Client:
        return Client(Connection("http://models.test", **options), transport=self)


def refusal(status: int, code: str = "x", **headers: str) -> httpx.Response:
    document = {"error": "Seen. Expected.", "code": code, "request_id": "r-1"}
    return httpx.Response(status, json=document, headers={"X-Request-Id": "r-1", **headers})


def good(document: Any = ANSWER, **headers: str) -> httpx.Response:
    return httpx.Response(200, json=document, headers=headers)


def test_predict_sends_rows_and_reads_the_answer():
    script = Script(good(**{"X-Model-Digest": "abc", "Deprecation": "true"}))
    found = script.client(token="secret").predict("late", [{"a": None, "b": 1.5}], version="3", request_id="r-1")
    (sent,) = script.requests
    assert str(sent.url) == "http://models.test/predict/late?version=3"
    assert sent.headers["Authorization"] == "Bearer secret"
    assert sent.headers["X-Request-Id"] == "r-1"
    assert json.loads(sent.content) == {"rows": [{"a": None, "b": 1.5}]}
    assert found.rows[0].probability == 0.25
    assert found.rows[0].label == "no"
    assert (found.version, found.alias, found.digest, found.is_deprecated) == ("3", "champion", "abc", True)


def test_names_are_quoted_in_addresses():
    script = Script(good())
    script.client().predict("a/../b?c", [])
    assert script.requests[0].url.raw_path == b"/predict/a%2F..%2Fb%3Fc"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, MalformedError),
        (401, UnauthenticatedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (408, TimedOutError),
        (413, TooLargeError),
        (422, InvalidRowsError),
        (500, InternalError),
        (504, TimedOutError),
    ],
)
def test_an_error_has_its_type_and_parts_and_is_not_retried(status, kind):
    script = Script(refusal(status, "some_code"))
    with pytest.raises(kind, match="Seen") as caught:
        script.client().predict("late", [])
    assert (caught.value.code, caught.value.status, caught.value.request_id) == ("some_code", status, "r-1")
    assert len(script.requests) == 1


def test_a_page_of_a_proxy_is_quoted():
    script = Script(httpx.Response(502, text="<h1>Bad gateway</h1>"))
    with pytest.raises(InternalError, match="Bad gateway"):
        script.client().status()


@pytest.mark.parametrize(("status", "kind"), [(429, QueueFullError), (503, UnavailableError)])
def test_later_is_retried_until_it_works(status, kind):
    script = Script(refusal(status, **{"Retry-After": "0"}), refusal(status), good())
    assert script.client().predict("late", [{}]).version == "3"
    assert len(script.requests) == 3


@pytest.mark.parametrize(("status", "kind"), [(429, QueueFullError), (503, UnavailableError)])
def test_later_is_told_after_the_last_attempt(status, kind):
    script = Script(refusal(status, **{"Retry-After": "0"}))
    with pytest.raises(kind) as caught:
        script.client(attempts=2).predict("late", [{}])
    assert caught.value.retry_after_s == 0
    assert len(script.requests) == 2


def test_a_wait_longer_than_the_time_limit_is_not_waited():
    script = Script(refusal(503, **{"Retry-After": "60"}))
    with pytest.raises(UnavailableError):
        script.client(timeout_s=5).predict("late", [{}])
    assert len(script.requests) == 1


def test_a_refused_connection_is_retried_and_a_lost_answer_is_not():
    refused = Script(httpx.ConnectError("refused"), good())
    assert refused.client().predict("late", [{}]).version == "3"
    lost = Script(httpx.ReadTimeout("slow"), good())
    with pytest.raises(UnreachableError, match="did not answer: slow"):
        lost.client().predict("late", [{}])


def test_the_token_is_never_shown():
    connection = Connection("http://models.test", token="secret")
    assert "secret" not in repr(connection)


def test_infer_sends_json():
    answer = {
        "model_name": "late",
        "model_version": "3",
        "id": "r-1",
        "outputs": [{"name": "label", "datatype": "INT64", "shape": [2], "data": [0, 1]}],
    }
    script = Script(good(answer))
    found = script.client().infer("late", {"s": ["a", None], "f": [1, 2.5]}, version="3", outputs=["label"])
    assert found.outputs == {"label": [0, 1]}
    assert script.requests[0].url.path == "/v2/models/late/versions/3/infer"
    assert json.loads(script.requests[0].content) == {
        "inputs": [
            {"name": "s", "datatype": "BYTES", "shape": [2], "data": ["a", None]},
            {"name": "f", "datatype": "FP64", "shape": [2], "data": [1, 2.5]},
        ],
        "outputs": [{"name": "label"}],
    }


def test_infer_sends_and_reads_bytes():
    outputs = [
        {"name": "probability", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}},
        {"name": "name", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 10}},
    ]
    head = json.dumps({"model_name": "late", "model_version": "3", "id": "r", "outputs": outputs}).encode()
    tail = np.array([0.25, 0.5], "<f4").tobytes() + b"\2\0\0\0no\0\0\0\0"
    script = Script(httpx.Response(200, content=head + tail, headers={LENGTH_HEADER: str(len(head))}))
    found = script.client().infer("late", {"i": [1, None], "f": [None, 2.0], "s": ["é", None]}, as_bytes=True)
    assert found.outputs["probability"].tolist() == [0.25, 0.5]
    assert found.outputs["name"].tolist() == ["no", ""]
    sent = script.requests[0]
    place = int(sent.headers[LENGTH_HEADER])
    inputs = json.loads(sent.content[:place])["inputs"]
    assert [each["name"] for each in inputs] == ["i", "i__missing", "f", "s"]
    assert [each["datatype"] for each in inputs] == ["INT64", "BOOL", "FP64", "BYTES"]
    assert len(sent.content) - place == sum(each["parameters"]["binary_data_size"] for each in inputs)


def test_mixed_columns_are_refused_before_they_are_sent():
    script = Script(good())
    with pytest.raises(ClientError, match="'s' holds int, str"):
        script.client().infer("late", {"s": ["a", 1]})
    assert not script.requests


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"a": 1, "at": datetime(2026, 4, 1, tzinfo=UTC)}, "'at' of row 1 is of the type datetime; expected: a text"),
        (["a"], "row 1 is of the type list; expected: a mapping"),
    ],
)
def test_rows_that_json_cannot_say_are_named_before_they_are_sent(row, told):
    script = Script(good())
    with pytest.raises(ClientError, match=told):
        script.client().predict("late", [{"a": 1}, row])
    assert not script.requests


@pytest.mark.parametrize("answer", [httpx.Response(200, text="<html>hello</html>"), good({"hello": 1}), good([1])])
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.predict("late", [{"a": 1}]),
        lambda client: client.infer("late", {"a": [1]}),
        lambda client: client.metadata("late"),
    ],
)
def test_an_answer_of_somebody_else_is_told(answer, ask):
    with pytest.raises(
        ClientError, match=r"http://models\.test/\S+ answered 200 with what no inference server of AI Mass says"
    ) as told:
        ask(Script(answer).client())
    assert not isinstance(told.value, ServerError | UnreachableError)


@pytest.mark.parametrize("kind", [Client, AsyncClient, GrpcClient, AsyncGrpcClient])
def test_a_file_of_certificates_that_is_not_there_is_told(kind, tmp_path):
    with pytest.raises(ClientError, match=r"ca_file \S+/ca\.pem cannot be read: .*No such file"):
        kind(Connection("https://models.test", ca_file=tmp_path / "ca.pem"))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_file_without_certificates_is_told(kind, tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ClientError, match="expected: a PEM file"):
        kind(Connection("https://models.test", ca_file=tmp_path / "ca.pem"))


def test_readiness_is_a_word_not_an_error():
    assert Script(good({})).client().is_ready("late")
    assert not Script(refusal(503)).client().is_ready()
    assert not Script(refusal(404)).client().is_ready("late", "9")
    assert not Script(httpx.ConnectError("refused")).client().is_live()


def test_label_sends_what_came_true():
    script = Script(good({"accepted": 1}))
    script.client().label("late", [{"request_id": "r-1", "label": "yes"}])
    assert script.requests[0].url.path == "/aimass/models/late/labels"


def test_metadata_reads_names_and_datatypes():
    tensors = [{"name": "a", "datatype": "FP64", "shape": [-1]}]
    document = {"name": "late", "versions": ["3"], "platform": "p", "inputs": tensors, "outputs": tensors}
    found = Script(good(document)).client().metadata("late", "3")
    assert (found.versions, found.inputs, found.outputs) == (("3",), {"a": "FP64"}, {"a": "FP64"})


def test_the_asynchronous_client_does_the_same():
    answers = [refusal(503, **{"Retry-After": "0"}), good()]

    async def ask() -> Any:
        async with AsyncClient("http://models.test", transport=httpx.MockTransport(lambda _: answers.pop(0))) as client:
            return await client.predict("late", [{}])

    assert asyncio.run(ask()).version == "3"


def public(kind: type) -> dict[str, Callable[..., Any]]:
    return {name: each for name, each in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def test_both_clients_have_the_same_methods_with_the_same_parameters():
    from aimass_client.grpc_asynchronous import AsyncGrpcClient
    from aimass_client.grpc_client import GrpcClient

    for one, other in ((Client, AsyncClient), (GrpcClient, AsyncGrpcClient)):
        assert public(one).keys() == public(other).keys()
        for name, method in public(one).items():
            assert inspect.signature(method).parameters == inspect.signature(public(other)[name]).parameters
