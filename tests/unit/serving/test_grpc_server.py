"""gRPC as a client sees it: the answers of REST, and every mistake with its status and sentence."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from aimass.serving.grpc_server import start_grpc
from aimass.serving.proto import open_inference_pb2 as messages
from aimass.serving.security import Token, Tokens
from aimass_client import (
    ForbiddenError,
    InvalidRowsError,
    MalformedError,
    NotFoundError,
    QueueFullError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)
from aimass_client.connection import Connection
from aimass_client.grpc_asynchronous import AsyncGrpcClient
from aimass_client.grpc_calls import error_of, infer_request, method_of
from tests.services.asking import Asked, load
from tests.services.folder_registry import ROW
from tests.services.server import free_port
from tests.unit.serving.test_batching import Held

COLUMNS: dict[str, Any] = {"origin": ["JFK", None], "distance": [0.25, None], "stops": [1, None]}
TOKENS = Tokens(
    [
        Token("all", hashlib.sha256(b"a").hexdigest()),
        Token("one", hashlib.sha256(b"b").hexdigest(), frozenset({"other"})),
    ]
)


class AskedByGrpc(Asked):
    """The request side of a worker with gRPC in front."""

    def __init__(self, tokens: Tokens | None = None, **options: Any) -> None:
        super().__init__(tokens, grpc_port=free_port(), **options)
        self.server = self.run(start_grpc(self.engine, tokens or Tokens()))

    def ask(self, what: Callable[[AsyncGrpcClient], Awaitable[Any]], *, token: str = "", attempts: int = 1) -> Any:
        """Ask by a client of its own."""

        async def asking() -> Any:
            connection = Connection(f"127.0.0.1:{self.context.config.grpc_port}", token=token, attempts=attempts)
            async with AsyncGrpcClient(connection) as client:
                return await what(client)

        return self.run(asking())

    def close(self) -> None:
        self.run(self.server.stop(1))
        super().close()


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[AskedByGrpc]:
    asked = AskedByGrpc(body_limit_mb=0.1, queue_rows=50)
    asked.table.put(load(tmp_path))
    asked.table.put(load(tmp_path, "2", bias=1.0), "challenger")
    yield asked
    asked.close()


def test_infer_answers_what_rest_answers(asked):
    rows = [ROW, {"origin": None, "distance": None, "stops": None}]
    by_rest = [row["probability"] for row in asked.predict(*rows).json()["predictions"]]
    found = asked.ask(lambda client: client.infer("late", COLUMNS))
    assert found.outputs["probability"].tolist() == by_rest
    assert found.version == "1"
    assert asked.journal.records[-1].request_id == found.request_id


def test_infer_takes_a_version_an_output_and_an_id(asked):
    found = asked.ask(lambda client: client.infer("late", COLUMNS, version="2", outputs=["label"], request_id="mine"))
    assert (found.version, found.request_id, list(found.outputs)) == ("2", "mine", ["label"])


def test_infer_passes_over_the_columns_of_another_version(asked, tmp_path):
    asked.table.put(load(tmp_path, "3", extra="delay"), "next")
    assert asked.ask(lambda client: client.infer("late", {**COLUMNS, "delay": [1.0, None]})).version == "1"


def test_infer_takes_typed_fields_and_answers_with_them(asked):
    request = messages.ModelInferRequest(model_name="late")
    for name, datatype, fields in (
        ("origin", "BYTES", {"bytes_contents": [b"JFK"]}),
        ("distance", "FP64", {"fp64_contents": [0.25]}),
        ("stops", "INT32", {"int_contents": [1]}),
    ):
        contents = messages.InferTensorContents(**fields)
        request.inputs.add(name=name, datatype=datatype, shape=[1, 1], contents=contents)
    response = asked.ask(lambda client: method_of(client._channel, "ModelInfer")(request))
    (expected,) = asked.predict(ROW).json()["predictions"]
    assert list(response.outputs[0].contents.fp32_contents) == [expected["probability"]]
    assert not response.raw_output_contents


def test_the_answer_says_which_version_it_is_from(asked):
    asked.table.deprecated.add(("late", "1"))

    async def trailing(client: AsyncGrpcClient) -> dict[str, Any]:
        call = method_of(client._channel, "ModelInfer")(infer_request("late", COLUMNS, request_id="mine"))
        await call
        return dict(await call.trailing_metadata())

    told = asked.ask(trailing)
    assert told["x-model-version"] == "1"
    assert told["x-model-digest"] == "1" * 64
    assert told["x-request-id"] == "mine"
    assert told["deprecation"] == "true"


@pytest.mark.parametrize(
    ("model", "columns", "kind", "words"),
    [
        ("lte", COLUMNS, NotFoundError, "'late'"),
        ("late", {**COLUMNS, "stop": [1, 1]}, InvalidRowsError, "'stops'"),
        ("late", {"origin": ["JFK"], "distance": [1.0]}, InvalidRowsError, "'stops'"),
        ("late", {**COLUMNS, "origin": [1.5, 2.5]}, InvalidRowsError, "'origin'"),
        ("late", {**COLUMNS, "distance": [1.0]}, MalformedError, "rows"),
        ("late", {}, MalformedError, "no inputs"),
        ("late", {**COLUMNS, "origin": ["x" * 200_000, ""]}, TooLargeError, "larger"),
    ],
)
def test_a_mistake_has_its_type_and_sentence(asked, model, columns, kind, words):
    with pytest.raises(kind, match=words):
        asked.ask(lambda client: client.infer(model, columns))


def test_a_draining_server_is_unavailable(asked):
    asked.context.draining = True
    with pytest.raises(UnavailableError) as caught:
        asked.ask(lambda client: client.infer("late", COLUMNS))
    assert caught.value.retry_after_s == 1.0
    assert not asked.ask(lambda client: client.is_ready())


def test_a_full_queue_says_when_to_ask_again(tmp_path):
    asked = AskedByGrpc(queue_rows=2, workers=256)
    asked.table.put(load(tmp_path))
    held = Held(asked.table.resolve("late").loaded)

    async def ask() -> QueueFullError:
        async with AsyncGrpcClient(Connection(f"127.0.0.1:{asked.context.config.grpc_port}", attempts=1)) as client:
            waiting = asyncio.create_task(client.infer("late", COLUMNS))
            while not held.sizes:
                await asyncio.sleep(0.001)
            with pytest.raises(QueueFullError) as refused:
                await client.infer("late", COLUMNS)
            held.go.set()
            assert (await waiting).version == "1"
            return refused.value

    try:
        error = asked.run(ask())
        assert (error.code, error.retry_after_s) == ("queue_full", 1.0)
    finally:
        held.go.set()
        asked.close()


def test_health_and_metadata(asked):
    assert asked.ask(lambda client: client.is_ready())
    assert asked.ask(lambda client: client.is_ready("late", "2"))
    assert not asked.ask(lambda client: client.is_ready("late", "9"))
    found = asked.ask(lambda client: client.metadata("late"))
    assert found.versions == ("1", "2")
    assert found.inputs == {"origin": "BYTES", "distance": "FP64", "stops": "INT64"}
    assert found.outputs == {"probability": "FP32", "label": "INT64"}
    live = asked.ask(lambda client: method_of(client._channel, "ServerLive")(messages.ServerLiveRequest()))
    assert live.live
    server = asked.ask(lambda client: method_of(client._channel, "ServerMetadata")(messages.ServerMetadataRequest()))
    assert server.name == "aimass"


def test_tokens_are_asked_for(tmp_path):
    asked = AskedByGrpc(TOKENS)
    try:
        asked.table.put(load(tmp_path))
        assert asked.ask(lambda client: client.infer("late", COLUMNS), token="a").version == "1"
        for token, kind in (("", UnauthenticatedError), ("x", UnauthenticatedError), ("b", ForbiddenError)):
            with pytest.raises(kind):
                asked.ask(lambda client: client.infer("late", COLUMNS), token=token)
            with pytest.raises(kind):
                asked.ask(lambda client: client.metadata("late"), token=token)
        assert asked.ask(lambda client: client.is_ready())
    finally:
        asked.close()


def test_every_code_of_the_server_has_its_error():
    class Refusal(grpc.RpcError):
        def __init__(self, status: grpc.StatusCode, code: str) -> None:
            self.status, self.word = status, code

        def code(self) -> grpc.StatusCode:
            return self.status

        def details(self) -> str:
            return "Seen."

        def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
            return (("code", self.word), ("retry-after", "2"))

    error = error_of(Connection("h:1"), Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue_full"))
    assert isinstance(error, QueueFullError)
    assert (error.code, error.retry_after_s, error.is_retried) == ("queue_full", 2.0, True)
