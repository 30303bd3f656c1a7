"""Who may ask: tokens, of which the server knows digests only, and TLS."""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aimass.core.errors import ConfigError, from_os_error
from aimass.serving.config import ServeConfig
from aimass.serving.errors import ForbiddenError, UnauthenticatedError

_LINE = re.compile(r"^(?P<name>[A-Za-z0-9_.-]{1,64}):(?P<digest>[0-9a-f]{64})(?::(?P<models>[A-Za-z0-9_.,-]+))?$")
_LINE_FORM = "name:sha256-hex, and optionally :model,model"


@dataclass(frozen=True)
class Token:
    """One caller.

    Attributes
    ----------
    name : str
        What metrics and logs call it.
    digest : str
        sha256 of the token, in hex.
    models : frozenset of str
        The models that it may ask; empty for all, and for what concerns the whole server.
    """

    name: str
    digest: str
    models: frozenset[str] = frozenset()


NOBODY = Token("", "")
"""Who asks a server that wants no tokens."""


class Tokens:
    """The tokens of a server; without any, everybody may ask everything."""

    def __init__(self, tokens: Sequence[Token] = ()) -> None:
        self._tokens = list(tokens)

    @classmethod
    def read(cls, file: Path | None) -> Tokens:
        """Return the tokens in `file`; None gives a server that wants none.

        Raises
        ------
        ConfigError
            A line is of another form, or the file holds no token.
        """
        if file is None:
            return cls()
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise from_os_error(error, doing="reading the tokens") from error
        found = []
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = _LINE.match(line.strip())
            if match is None:
                raise ConfigError(f"Line {number} of {file} is not a token", expected=_LINE_FORM)
            models = (match["models"] or "").split(",")
            found.append(Token(match["name"], match["digest"], frozenset(filter(None, models))))
        if not found:
            raise ConfigError(f"{file} holds no token", expected=f"lines of the form {_LINE_FORM}")
        return cls(found)

    @property
    def are_wanted(self) -> bool:
        """Whether a request needs one."""
        return bool(self._tokens)

    def check(self, authorization: str, model: str | None = None) -> Token:
        """Return who asks for `model`, or (None) for what concerns the whole server.

        Parameters
        ----------
        authorization : str
            The header's value: ``Bearer <token>``.
        model : str, optional
            The model asked.

        Raises
        ------
        UnauthenticatedError
            No token, or one that nobody issued.
        ForbiddenError
            It is for other models.
        """
        if not self._tokens:
            return NOBODY
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise UnauthenticatedError("The request has no token", expected="the header Authorization: Bearer <token>")
        digest = hashlib.sha256(secret.strip().encode()).hexdigest()
        found = None
        for token in self._tokens:  # all of them, in the same time whichever fits
            if hmac.compare_digest(token.digest, digest):
                found = token
        if found is None:
            raise UnauthenticatedError("Nobody issued this token", hint="Ask who runs the server for one")
        if found.models and model not in found.models:
            raise ForbiddenError(
                f"The token {found.name!r} is not for {f'the model {model[:128]!r}' if model else 'the whole server'}",
                known=found.models,
            )
        return found


def tls_context(config: ServeConfig) -> ssl.SSLContext | None:
    """Return what REST speaks TLS with (1.2 or newer); None where the options name no certificate.

    Raises
    ------
    ConfigError
        The files are no certificate and key that belong together.
    """
    if config.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{config.tls_cert} and {config.tls_key} cannot be used for TLS: {error}",
            expected="a PEM certificate chain and its private key",
        ) from error
    return context
