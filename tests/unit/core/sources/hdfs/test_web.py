from __future__ import annotations

from http.server import BaseHTTPRequestHandler

import pytest

from aimass.core.errors import UnreachableError
from aimass.core.sources.hdfs.client import HdfsClient
from aimass.core.sources.hdfs.connection import HdfsConnection
from tests.services.answering import Answer, answering


def gateway(request: BaseHTTPRequestHandler, body: bytes) -> Answer:
    """Answer each question with the first bytes of a file."""
    return 200, {}, b"n\n1\n"


def client(address: str) -> HdfsClient:
    host, _, port = address.removeprefix("http://").rpartition(":")
    return HdfsConnection(host=host, port=int(port), protocol="webhdfs").open()


def test_a_small_file_is_all_there() -> None:
    with answering(gateway) as address:
        assert client(address).fetch("/a.csv", 4) == b"n\n1\n"


def test_a_small_file_that_comes_short_is_a_broken_connection() -> None:
    with answering(gateway) as address, pytest.raises(UnreachableError, match="4 bytes came where 10 were listed"):
        client(address).fetch("/a.csv", 10)
