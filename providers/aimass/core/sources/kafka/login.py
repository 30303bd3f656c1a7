"""Whether a broker refuses a user: kafka-python loses its answer when the broker hangs up right after it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator

from kafka.net.sasl import get_sasl_mechanism

from aimass.core.sources.kafka.connection import KafkaConnection, kafka_python_settings

SASL_HANDSHAKE, SASL_AUTHENTICATE = 17, 36
UNSUPPORTED_SASL_MECHANISM, SASL_AUTHENTICATION_FAILED = 33, 58
DEFAULT_PORT = 9092
PATIENCE_S = 5.0


def is_login_refused(connection: KafkaConnection) -> bool:
    """Return whether the first broker that answers says no to user, password or mechanism."""
    if not connection.uses_sasl:
        return False
    for address in connection.bootstrap_servers.split(","):
        with contextlib.suppress(OSError, struct.error):
            return _refuses(address.strip(), connection)
    return False


def _refuses(address: str, connection: KafkaConnection) -> bool:
    host, _, port = address.rpartition(":")
    mechanism = get_sasl_mechanism(connection.mechanism)(host=host, **kafka_python_settings(connection))
    with _connected(host or address, int(port) if host else DEFAULT_PORT, connection) as stream:
        name = connection.mechanism.encode()
        answer = _ask(stream, SASL_HANDSHAKE, 1, struct.pack(">h", len(name)) + name)
        if struct.unpack_from(">h", answer)[0] == UNSUPPORTED_SASL_MECHANISM:
            return True
        while not mechanism.is_done():
            token = mechanism.auth_bytes()
            answer = _ask(stream, SASL_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
            (error, said) = struct.unpack_from(">hh", answer)
            if error:
                return bool(error == SASL_AUTHENTICATION_FAILED)
            begin = 4 + max(0, said)
            (size,) = struct.unpack_from(">i", answer, begin)
            mechanism.receive(answer[begin + 4 : begin + 4 + size])
    return False


@contextlib.contextmanager
def _connected(host: str, port: int, connection: KafkaConnection) -> Iterator[socket.socket]:
    timeout_s = min(PATIENCE_S, connection.timeout_s)
    with socket.create_connection((host, port), timeout=timeout_s) as plain:
        if not connection.uses_tls:
            yield plain
            return
        context = ssl.create_default_context(cafile=connection.ca_file)
        context.check_hostname = connection.verify_host
        if connection.cert_file:
            secret = connection.key_password.get_secret_value() if connection.key_password else None
            context.load_cert_chain(connection.cert_file, connection.key_file, secret)
        with context.wrap_socket(plain, server_hostname=host) as encrypted:
            yield encrypted


def _ask(stream: socket.socket, request: int, version: int, body: bytes) -> bytes:
    """Send one request of Kafka's protocol, with a header of version 1; return the body of the answer."""
    header = struct.pack(">hhih", request, version, 0, -1)
    stream.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
    (size,) = struct.unpack(">i", _read(stream, 4))
    return _read(stream, size)[4:]


def _read(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = stream.recv(size - len(data))
        if not chunk:
            raise ConnectionError("the broker hung up")
        data += chunk
    return data
