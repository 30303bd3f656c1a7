"""A real server with two workers, tokens and TLS, asked by the client over REST and gRPC."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from aimass.core.endpoints.http import HttpEndpoint, HttpSettings
from aimass.core.endpoints.status import ServedVersion
from aimass_client import Client, Connection, ForbiddenError, NotFoundError, UnauthenticatedError, UnreachableError
from aimass_client.grpc_client import GrpcClient
from tests.services.folder_registry import FolderRegistry
from tests.services.server import free_port, running

pytestmark = [pytest.mark.integration("serving"), pytest.mark.slow]

COLUMNS: dict[str, Any] = {"origin": ["JFK", None], "distance": [0.25, None], "stops": [1, None]}


@dataclass
class Guarded:
    """A server that speaks TLS and asks for tokens."""

    rest: str
    grpc: str
    ca_file: Path

    def connection(self, token: str, *, grpc: bool = False, trust: bool = True) -> Connection:
        return Connection(self.grpc if grpc else self.rest, token, self.ca_file if trust else None, attempts=1)


@pytest.fixture(scope="module")
def guarded(folder_registry: FolderRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    cert, key, tokens = folder / "cert.pem", folder / "key.pem", folder / "tokens"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("everything", "late-only")}
    tokens.write_text(f"all:{digests['everything']}\none:{digests['late-only']}:late\n")
    found = Guarded(f"https://localhost:{free_port()}", f"https://localhost:{free_port()}", cert)
    options = {
        "port": found.rest.rpartition(":")[2],
        "grpc-port": found.grpc.rpartition(":")[2],
        "workers": 2,
        "tls-cert": cert,
        "tls-key": key,
        "tokens-file": tokens,
        "cache-dir": folder / "cache",
    }
    command = [sys.executable, "-m", "tests.services.inference", str(folder_registry.folder), "0"]
    command += [f"--{name}={value}" for name, value in options.items()]
    client = Client(found.connection(""))
    with client, running(command, log=folder / "server.log", is_ready=client.is_ready):
        yield found


def test_rest_and_grpc_give_the_same_bits(guarded: Guarded) -> None:
    rows = [{name: values[index] for name, values in COLUMNS.items()} for index in range(2)]
    with (
        Client(guarded.connection("everything")) as rest,
        GrpcClient(guarded.connection("everything", grpc=True)) as grpc,
    ):
        assert rest.is_ready()
        assert grpc.is_ready("late")
        predicted = [row.probability for row in rest.predict("late", rows).rows]
        answers = [
            rest.infer("late", COLUMNS).outputs["probability"],
            rest.infer("late", COLUMNS, as_bytes=True).outputs["probability"].tolist(),
            grpc.infer("late", COLUMNS).outputs["probability"].tolist(),
        ]
    assert answers == [predicted] * 3


def test_every_worker_answers_over_grpc(guarded: Guarded) -> None:
    for _ in range(10):  # each channel is a connection of its own, which the kernel gives to one of the workers
        with GrpcClient(guarded.connection("late-only", grpc=True)) as client:
            assert client.infer("late", COLUMNS).version == "1"


@pytest.mark.parametrize("grpc", [False, True])
def test_tokens_open_what_they_are_for(guarded: Guarded, grpc: bool) -> None:
    def ask(token: str, model: str) -> Any:
        kind = GrpcClient if grpc else Client
        with kind(guarded.connection(token, grpc=grpc)) as client:
            return client.infer(model, COLUMNS)

    assert ask("late-only", "late").version == "1"
    with pytest.raises(ForbiddenError):
        ask("late-only", "other")
    for token in ("", "wrong"):
        with pytest.raises(UnauthenticatedError):
            ask(token, "late")
    with pytest.raises(NotFoundError):
        ask("everything", "nothing")


def test_the_status_says_who_asked_for_a_version(guarded: Guarded) -> None:
    settings = HttpSettings(url=guarded.rest, token=SecretStr("everything"), ca_file=str(guarded.ca_file))
    endpoint = HttpEndpoint(settings)

    def asked() -> ServedVersion:
        model = endpoint.status().model("late")
        assert model is not None
        found = model.named("1")
        assert found is not None
        return found

    before = asked()
    for kind, connection in (
        (Client, guarded.connection("late-only")),
        (GrpcClient, guarded.connection("late-only", grpc=True)),
    ):
        with kind(connection) as client:
            client.infer("late", COLUMNS)
    after = asked()
    assert after.callers["one"] - before.callers.get("one", 0) == 2
    assert sum(after.callers.values()) == after.requests


@pytest.mark.parametrize("grpc", [False, True])
def test_a_certificate_that_nobody_trusts_is_not_spoken_to(guarded: Guarded, grpc: bool) -> None:
    kind = GrpcClient if grpc else Client
    with kind(guarded.connection("everything", grpc=grpc, trust=False)) as client, pytest.raises(UnreachableError):
        client.metadata("late")
