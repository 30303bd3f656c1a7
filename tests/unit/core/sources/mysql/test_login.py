"""A server that asks for the password: without TLS it gets it under its own key, or not at all."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from itertools import cycle

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aimass.core.errors import ConfigError, NotAllowedError, UnreachableError
from aimass.core.sources.mysql.connection import MySqlConnection
from aimass.core.sources.mysql.engines import ConnectorxEngine
from aimass.core.sources.mysql.sessions import check

PASSWORD = "correct horse battery staple ü"
SEED = b"12345678abcdefghijkl"
SHA2 = "caching_sha2_password"
# What the server says that it can: the protocol of 4.1, schemas, seeds of 20 bytes and plugins, but no TLS.
CAPABILITIES = 0x0008A209
OK, END, DENIED = b"\0\0\0\2\0\0\0", b"\xfe\0\0\2\0", b"\xff" + (1045).to_bytes(2, "little") + b"#28000no"
SEND_PASSWORD, SEND_KEY = b"\4", b"\2"
QUERY = 3


def switch(plugin: str, seed: bytes = SEED) -> bytes:
    return b"\xfe" + plugin.encode() + b"\0" + seed + b"\0"


class AskingServer(socketserver.ThreadingTCPServer):
    """A server that speaks as much of MySQL's protocol as it takes to log in and to ask for a version.

    Parameters
    ----------
    question : bytes
        Its answer to the client's first response.
    key : bytes
        The public key that it tells.
    private : RSAPrivateKey, optional
        What reads an encrypted password; it lets nobody in where there is none.
    """

    daemon_threads = True

    def __init__(self, question: bytes, key: bytes = b"", private: RSAPrivateKey | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.question, self.key, self.private = question, key, private
        self.heard, self.passwords = b"", list[str]()

    def connection(self) -> MySqlConnection:
        port = int(self.server_address[1])
        return MySqlConnection(
            host="127.0.0.1", port=port, user="u", password=PASSWORD, tls="off", connect_timeout_s=1, read_timeout_s=1
        )

    def read(self, encrypted: bytes) -> None:
        assert self.private is not None
        mixed = self.private.decrypt(encrypted, OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), label=None))
        self.passwords.append(bytes(a ^ b for a, b in zip(mixed, cycle(SEED), strict=False)).decode())


class Talk(socketserver.StreamRequestHandler):
    server: AskingServer

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            low, high = CAPABILITIES.to_bytes(4, "little")[:2], CAPABILITIES.to_bytes(4, "little")[2:]
            seed = SEED[:8] + b"\0" + low + b"\x2d\2\0" + high + b"\x15" + bytes(10) + SEED[8:] + b"\0"
            self.send(b"\x0a9.9.9\0" + (1).to_bytes(4, "little") + seed + SHA2.encode() + b"\0")
            self.receive()
            self.send(self.server.question)
            if self.lets_in():
                self.answer()

    def lets_in(self) -> bool:
        said = self.receive()
        if said == SEND_KEY and self.server.key:
            self.send(b"\1" + self.server.key)
            said = self.receive()
        if said and self.server.private:
            self.server.read(said)
            self.send(OK)
            return True
        self.send(DENIED)
        return False

    def answer(self) -> None:
        while command := self.receive():
            self._number = 0
            if b"VERSION()" not in command:
                self.send(OK)
                continue
            column = b"\3def\0\0\0\1v\0\x0c\x2d\0\x40\0\0\0\xfd\0\0\0\0\0"
            for payload in (b"\1", column, END, b"\0059.9.9", END):
                self.send(payload)

    def send(self, payload: bytes) -> None:
        self.wfile.write(len(payload).to_bytes(3, "little") + bytes([self._number]) + payload)
        self._number += 1

    def receive(self) -> bytes:
        header = self.rfile.read(4)
        payload = self.rfile.read(int.from_bytes(header[:3], "little"))
        self.server.heard += header + payload
        self._number = header[3] + 1 if header else 0
        return payload

    _number = 0


@contextlib.contextmanager
def asking(question: bytes, key: bytes = b"", private: RSAPrivateKey | None = None) -> Iterator[AskingServer]:
    with AskingServer(question, key, private) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
    assert b"correct horse" not in server.heard


@pytest.fixture(scope="module")
def private() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65_537, key_size=2048)


def pem(private: RSAPrivateKey | Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_password_crosses_under_the_servers_key(private: RSAPrivateKey) -> None:
    with asking(b"\1" + SEND_PASSWORD, pem(private), private) as server:
        assert check(server.connection()) == "9.9.9"
    assert server.passwords == [PASSWORD + "\0"]


def test_password_crosses_under_the_servers_key_in_connectorx_too(private: RSAPrivateKey) -> None:
    with asking(b"\1" + SEND_PASSWORD, pem(private), private) as server, contextlib.suppress(UnreachableError):
        # What comes after the login is more than the server can say.
        ConnectorxEngine(server.connection()).fetch("SELECT 1")
    assert set(server.passwords) == {PASSWORD + "\0"}


def test_server_without_a_key_gets_no_password() -> None:
    with asking(b"\1" + SEND_PASSWORD) as server, pytest.raises(NotAllowedError):
        check(server.connection())


@pytest.mark.parametrize("kind", ["no key", "another kind"])
def test_server_with_a_wrong_key_gets_no_password(kind: str) -> None:
    key = kind.encode() if kind == "no key" else pem(Ed25519PrivateKey.generate())
    with asking(b"\1" + SEND_PASSWORD, key) as server, pytest.raises(ConfigError, match="tls: verified"):
        check(server.connection())


@pytest.mark.parametrize(
    "question",
    [switch("mysql_clear_password"), switch("sha256_password"), switch(SHA2, SEND_PASSWORD)],
    ids=["mysql_clear_password", "sha256_password", "a seed of one byte"],
)
def test_server_that_wants_it_in_the_clear_is_refused(question: bytes) -> None:
    with asking(question) as server:
        with pytest.raises(ConfigError, match="tls: verified"):
            check(server.connection())
        with pytest.raises(ConfigError, match="tls: verified"):
            ConnectorxEngine(server.connection()).fetch("SELECT 1")
