"""A running inference server, asked over HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel, Field, SecretStr, TypeAdapter, ValidationError, field_validator

from aimass.core import settings
from aimass.core.endpoints.base import LateLabel
from aimass.core.endpoints.status import MetricSample, ServerStatus, ShadowReport
from aimass.core.errors import (
    AimassError,
    ConfigError,
    DataError,
    NotAllowedError,
    NotFoundError,
    TransientError,
    UnreachableError,
)

MAX_ANSWER_BYTES = 64 << 20
BLOCK_BYTES = 1 << 16
SHOWN_CHARS = 300

DONE = 200
NOT_READY = 503
# What a server says that may be different the next time; every other 5xx is taken for the same.
TRANSIENT = (408, 425, 429)

D = TypeVar("D", bound=BaseModel)

_SAMPLES = TypeAdapter(list[MetricSample])


class HttpSettings(settings.Settings):
    """Where the server is, and how it is asked."""

    url: str = Field(description="Its address, such as https://serving:8090.")
    token: SecretStr | None = Field(default=None, description="Bearer token; none where the server asks for none.")
    verify_tls: bool = Field(default=True, description="Whether its certificate is checked.")
    ca_file: str | None = Field(default=None, description="Certificates to trust; the system's when empty.")
    timeout_s: float = Field(default=10, gt=0, le=600, description="How long an answer may take.")
    work_timeout_s: float = Field(
        default=180, gt=0, le=3600, description="The same where the server loads, tries or drains a version first."
    )

    @field_validator("url")
    @classmethod
    def _url_is_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address such as http://host:8090")
        if parts.username or parts.query or parts.fragment:
            raise ValueError("expected an address without user, query and fragment; a token has a field of its own")
        return url.rstrip("/")


class _Answer(NamedTuple):
    status: int
    body: bytes
    retry_after: str


class HttpEndpoint:
    """One server by its address. A connection of its own for each question: nothing is kept between them."""

    Settings: ClassVar[type[settings.Settings]] = HttpSettings

    def __init__(self, settings: HttpSettings) -> None:
        self.settings = settings

    def is_ready(self) -> bool:
        """Return whether the server takes requests; False, too, where it does not answer."""
        try:
            return self._exchange("GET", "/v2/health/ready", b"", self.settings.timeout_s).status == DONE
        except (UnreachableError, NotFoundError):
            return False

    def status(self) -> ServerStatus:
        """Return what the server serves."""
        return self._document(ServerStatus, self._ask("GET", "/aimass/status"))

    def sync(self) -> ServerStatus:
        """Have the server look at the registry now; return what it serves once it has acted on what it saw."""
        return self._document(ServerStatus, self._ask("POST", "/aimass/sync", long=True))

    def load(self, model: str, version: str) -> ServerStatus:
        """Have a version in memory, warm; return once it is, or has failed."""
        return self._document(ServerStatus, self._ask("POST", _version_path(model, version, "load"), long=True))

    def unload(self, model: str, version: str) -> ServerStatus:
        """Drain a version that no alias points at, and take it out of memory."""
        return self._document(ServerStatus, self._ask("POST", _version_path(model, version, "unload"), long=True))

    def shadow(self, model: str, version: str, *, rows: int = 200) -> ShadowReport:
        """Try a version on the server's most recent requests, beside what was answered then."""
        answer = self._ask("POST", _version_path(model, version, "shadow"), {"rows": rows}, long=True)
        return self._document(ShadowReport, answer)

    def samples(self, since: datetime | None = None) -> list[MetricSample]:
        """Return what the server measured after `since`, oldest first; it keeps a day."""
        query = f"?{urlencode({'since': since.isoformat()})}" if since is not None else ""
        body = self._ask("GET", f"/aimass/samples{query}")
        try:
            return _SAMPLES.validate_json(body)
        except ValidationError as error:
            raise self._stranger(body) from error

    def predict(self, model: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the answer to rows given as objects, as ``POST /predict/<model>`` gives it."""
        body = self._ask("POST", f"/predict/{quote(model, safe='')}", {"rows": list(rows)})
        answer: dict[str, Any] = self._json(body)
        return answer

    def label(self, model: str, labels: Sequence[LateLabel]) -> None:
        """Tell what predictions should have been."""
        document = {"labels": [label.model_dump(mode="json") for label in labels]}
        self._ask("POST", f"/aimass/models/{quote(model, safe='')}/labels", document)

    def _ask(self, method: str, path: str, document: Any = None, *, long: bool = False) -> bytes:
        """Return the body of the answer; whatever is not a plain success is one of our errors."""
        body = b"" if document is None else _encoded(document)
        limit_s = max(self.settings.timeout_s, self.settings.work_timeout_s) if long else self.settings.timeout_s
        answer = self._exchange(method, path, body, limit_s)
        if answer.status != DONE:
            raise self._refusal(answer, path)
        return answer.body

    def _exchange(self, method: str, path: str, body: bytes, limit_s: float) -> _Answer:
        url = self.settings.url
        connection = self._connection(limit_s)
        try:
            connection.request(method, urlsplit(url).path + path, body or None, self._headers(body))
            response = connection.getresponse()
            return _Answer(response.status, _read(response, limit_s), response.headers.get("Retry-After", ""))
        except socket.gaierror as error:
            raise NotFoundError(f"The host of the server {url} does not exist", hint="Check its address") from error
        except ssl.SSLCertVerificationError as error:
            raise ConfigError(
                f"The certificate of the server {url} is not trusted: {error.verify_message}",
                hint="Set ca_file to the certificate that signed it",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(
                f"The server {url} does not answer: {str(error) or type(error).__name__}",
                hint="Check that it runs there, then retry",
                url=url,
            ) from error
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.settings.url)
        host = str(parts.hostname)
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
        try:
            context = ssl.create_default_context(cafile=self.settings.ca_file)
        except OSError as error:
            raise ConfigError(
                f"The certificates in ca_file, {self.settings.ca_file}, cannot be read: {error}",
                expected="a PEM file",
            ) from error
        if not self.settings.verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=context)

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"Accept": "application/json", "Connection": "close"}
        if body:
            headers["Content-Type"] = "application/json"
        if self.settings.token is not None:
            headers["Authorization"] = f"Bearer {self.settings.token.get_secret_value()}"
        return headers

    def _refusal(self, answer: _Answer, path: str) -> AimassError:
        """Return our error for an answer that is not a success."""
        told, code = _told(answer.body)
        said = f"The server {self.settings.url} answered {path} with {answer.status}: {told}"
        details: dict[str, Any] = {"status": answer.status, "code": code, "url": self.settings.url}
        if answer.status in (401, 403):
            return NotAllowedError(said, hint="Check the token of its connection", **details)
        if answer.status == 404 and code:
            return NotFoundError(said, **details)
        if answer.status in TRANSIENT or answer.status >= 500:
            wait = f"Retry in {answer.retry_after} s" if answer.retry_after else "Retry later"
            kind = UnreachableError if answer.status == NOT_READY else TransientError
            return kind(said, hint=wait, **details)
        if code:
            return DataError(said, **details)
        return self._stranger(answer.body)

    def _document(self, model: type[D], body: bytes) -> D:
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            raise self._stranger(body) from error

    def _json(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except ValueError as error:
            raise self._stranger(body) from error

    def _stranger(self, body: bytes) -> ConfigError:
        return ConfigError(
            f"What answers at {self.settings.url} is not an inference server of AI Mass: {_shown(body)!r}",
            expected="the address of a server that `airflow aimass serve` started",
            url=self.settings.url,
        )


def _version_path(model: str, version: str, verb: str) -> str:
    return f"/aimass/models/{quote(model, safe='')}/versions/{quote(version, safe='')}/{verb}"


def _encoded(document: Any) -> bytes:
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise DataError(
            f"What is to be sent cannot be written as JSON: {error}",
            expected="text, finite numbers, true, false and null",
            hint="Give a missing value as None, and a date as ISO 8601 text",
        ) from error


def _read(response: http.client.HTTPResponse, limit_s: float) -> bytes:
    """Read the body, up to a size and a time: the socket's own limit starts anew with every byte."""
    deadline = time.monotonic() + limit_s
    blocks: list[bytes] = []
    left = MAX_ANSWER_BYTES
    while block := response.read1(min(BLOCK_BYTES, left + 1)):
        blocks.append(block)
        left -= len(block)
        if left < 0:
            raise OSError(f"its answer is longer than {MAX_ANSWER_BYTES >> 20} MiB")
        if time.monotonic() > deadline:
            raise TimeoutError(f"its answer took longer than {limit_s:g} s")
    if response.length:
        raise OSError(f"the connection was closed {response.length} bytes before the end of its answer")
    return b"".join(blocks)


def _told(body: bytes) -> tuple[str, str]:
    """Return what an error's body says, and its code; the code is empty where it is not a body of ours."""
    try:
        document = json.loads(body)
        return str(document["error"])[:SHOWN_CHARS], str(document["code"])
    except (ValueError, TypeError, KeyError):
        return _shown(body), ""


def _shown(body: bytes) -> str:
    return body[:SHOWN_CHARS].decode("utf-8", "replace").strip()
