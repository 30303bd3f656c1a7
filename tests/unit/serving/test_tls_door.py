"""Clients that connect and never shake hands are few, and do not stay; by REST and by gRPC."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from aimass.serving.grpc_server import start_grpc
from aimass.serving.security import Tokens
from tests.services.certificates import Certificates, write_certificates
from tests.services.server import free_port
from tests.unit.serving.test_protocol import BODY, HEAD, Wire

CROWD = 20


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write_certificates(tmp_path_factory.mktemp("certificates"))


def served(folder: Path, certificates: Certificates, **options: Any) -> Iterator[Wire]:
    files = {"tls_cert": certificates.certificate, "tls_key": certificates.key}
    wire = Wire(folder, grpc_port=free_port(), **files, **options)
    yield wire
    wire.close()


@pytest.fixture
def brief(tmp_path: Path, certificates: Certificates) -> Iterator[Wire]:
    yield from served(tmp_path, certificates, header_timeout_s=0.2, max_connections=CROWD)


@pytest.fixture
def patient(tmp_path: Path, certificates: Certificates) -> Iterator[Wire]:
    yield from served(tmp_path, certificates, header_timeout_s=600, max_connections=3)


async def ended(reader: asyncio.StreamReader) -> None:
    """Wait until the server has closed the connection."""
    try:
        while await reader.read(1024):
            pass
    except ConnectionError:
        pass


async def silent(port: int, count: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    return [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]


async def all_end(port: int) -> None:
    crowd = await silent(port, CROWD)
    async with asyncio.timeout(30):
        await asyncio.gather(*(ended(reader) for reader, _ in crowd))
    for _, writer in crowd:
        writer.close()


async def those_beyond_end(port: int) -> None:
    """See that of `CROWD` silent clients all but three are closed while their time has not come."""
    crowd = await silent(port, CROWD)
    tasks = {asyncio.create_task(ended(reader)) for reader, _ in crowd}
    async with asyncio.timeout(30):
        while len(tasks) > 3:
            _, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for _, writer in crowd:
        writer.close()


def test_who_does_not_shake_hands_is_ended_and_others_are_served(brief: Wire, certificates: Certificates) -> None:
    async def ask() -> bytes:
        trusting = ssl.create_default_context(cafile=str(certificates.ca))
        reader, writer = await asyncio.open_connection("127.0.0.1", brief.port, ssl=trusting)
        writer.write(HEAD % len(BODY) + BODY)
        line = await reader.readline()
        writer.close()
        return line

    brief.asked.run(all_end(brief.port))
    assert brief.asked.run(ask()).startswith(b"HTTP/1.1 200")


def test_only_so_many_shake_hands_at_a_time(patient: Wire) -> None:
    patient.asked.run(those_beyond_end(patient.port))


def by_grpc(wire: Wire, what: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    server = wire.asked.run(start_grpc(wire.asked.engine, Tokens()))
    port = wire.asked.context.config.grpc_port
    assert port is not None
    wire.asked.run(what(port))
    wire.asked.run(server.stop(0))


def test_grpc_ends_who_does_not_shake_hands(brief: Wire) -> None:
    by_grpc(brief, all_end)


def test_grpc_takes_only_so_many_connections(patient: Wire) -> None:
    by_grpc(patient, those_beyond_end)
