"""How a password gets to the server: where TLS does not hide it, under the server's own key, or not at all."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from mysql.connector.connection import MySQLConnection
from mysql.connector.errors import InterfaceError
from mysql.connector.plugins import caching_sha2_password
from mysql.connector.protocol import EXCHANGE_FURTHER_STATUS, MySQLProtocol

if TYPE_CHECKING:
    from mysql.connector.network import MySQLSocket

SEND_PASSWORD, SEND_KEY = b"\x04", b"\x02"


class EncryptedPassword(caching_sha2_password.MySQLCachingSHA2PasswordAuthPlugin):
    """caching_sha2_password that encrypts the password where the connection does not; its base sends it as it is."""

    _seed = b""

    def auth_response(self, auth_data: bytes, **kwargs: Any) -> bytes | None:
        """Answer the server's seed; any other question for the password is refused without TLS."""
        if auth_data == SEND_PASSWORD and not self.ssl_enabled:
            raise InterfaceError("the server asks for the password in the clear, which requires SSL")
        self._seed = auth_data
        return super().auth_response(auth_data, **kwargs)

    def auth_more_response(self, sock: MySQLSocket, auth_data: bytes, **kwargs: Any) -> bytes:
        """Send the password, under the server's key where there is no TLS."""
        if auth_data != SEND_PASSWORD or self.ssl_enabled:
            return super().auth_more_response(sock, auth_data, **kwargs)
        sock.send(SEND_KEY)
        answer = bytes(sock.recv())
        if answer[4] != EXCHANGE_FURTHER_STATUS:
            return answer
        key = MySQLProtocol.parse_auth_more_data(answer)
        sock.send(encrypted(self._password, self._seed, key))
        return bytes(sock.recv())


def encrypted(password: str, seed: bytes, key: bytes) -> bytes:
    """Return the password as MySQL reads it without TLS: mixed with the seed, so that no answer can be sent again.

    Raises
    ------
    InterfaceError
        `key` is no public key of RSA in PEM, or too short for the password.
    """
    mixed = bytes(letter ^ noise for letter, noise in zip(password.encode() + b"\0", cycle(seed), strict=False))
    try:
        public = load_pem_public_key(key)
        if not isinstance(public, RSAPublicKey):
            raise ValueError("it is not of RSA")
        sha1 = hashes.SHA1()  # noqa: S303 - MySQL's protocol demands it, and OAEP is not weakened by it
        return public.encrypt(mixed, OAEP(MGF1(sha1), sha1, label=None))
    except ValueError as error:
        raise InterfaceError(f"the password requires SSL, for the server's key cannot encrypt it: {error}") from error


def connect(**options: Any) -> MySQLConnection:
    """Return a connection in pure Python that sends no password in the clear; raises the library's errors."""
    # The library takes a plugin's class by its name from the module of the plugin.
    setattr(caching_sha2_password, EncryptedPassword.__name__, EncryptedPassword)
    opened = MySQLConnection()
    opened._auth_plugin_class = EncryptedPassword.__name__
    try:
        opened.connect(**options)
    except BaseException:
        hang_up(opened)
        raise
    return opened


def hang_up(opened: MySQLConnection) -> None:
    """Close the socket of `opened` without a word to the server; raises nothing."""
    if opened._socket is not None:
        # The library's shutdown() leaves the socket open where the server has closed its end before.
        opened._socket.shutdown()
        opened._socket.close_connection()
