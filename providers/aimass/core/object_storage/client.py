"""Clients for one connection: obstore for the objects of a bucket, Huawei's SDK for what only OBS has."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import certifi
from obs import ObsClient
from obstore.store import S3Store

from aimass.core.errors import ConfigError, NotAllowedError
from aimass.core.object_storage.connection import ObsConnection
from aimass.core.object_storage.credentials import HuaweiCredentials

if TYPE_CHECKING:
    from obstore.store import ClientConfig

CONNECT_TIMEOUT_S = 10
RETRY_S = 30


def open_bucket(connection: ObsConnection, bucket: str, *, prefix: str | None = None) -> S3Store:
    """Return the objects of `bucket`, those below `prefix` where given; nothing is sent yet."""
    retries = {"max_retries": connection.retries, "retry_timeout": timedelta(seconds=RETRY_S)}
    return S3Store(
        bucket,
        prefix=prefix,
        endpoint=connection.bucket_address(bucket),
        region=connection.signing_region,
        virtual_hosted_style_request=connection.addressing == "virtual",
        # OBS wants a Content-MD5 with deletes of many, which obstore does not send.
        disable_bulk_delete=True,
        client_options=_client_options(connection),
        retry_config=retries,  # type: ignore[arg-type]
        **_keys(connection),
    )


def open_sdk(connection: ObsConnection) -> ObsClient:
    """Return Huawei's client, with certificates really verified.

    Raises
    ------
    NotAllowedError
        The client would speak TLS without verifying who answers.
    """
    keys = _sdk_keys(connection)
    proxy = urlsplit(connection.proxy_url.get_secret_value()) if connection.proxy_url else None
    client = ObsClient(
        **keys,
        server=connection.address,
        # The bulk client signs by v4, too: one way to sign, hence nothing to negotiate by a request per bucket.
        signature="v4",
        is_signature_negotiation=False,
        region=connection.signing_region,
        path_style=connection.addressing == "path",
        timeout=connection.timeout_s,
        max_retry_count=connection.retries,
        **({"proxy_host": proxy.hostname, "proxy_port": proxy.port} if proxy else {}),
        **({"proxy_username": proxy.username, "proxy_password": proxy.password} if proxy and proxy.username else {}),
    )
    if connection.is_secure:
        # By itself it verifies nothing, and with ssl_verify never the host's name.
        client.context = _tls(connection)
        refuse_unverified(client)
    return client


def refuse_unverified(client: ObsClient) -> None:
    """Raise NotAllowedError where `client` would not verify the server's certificate and name."""
    context = client.context
    if client.is_secure and (context is None or context.verify_mode != ssl.CERT_REQUIRED or not context.check_hostname):
        raise NotAllowedError(
            "The OBS client would speak TLS without verifying who answers",
            expected="verify_mode CERT_REQUIRED and check_hostname",
            hint="Take the client from aimass.core.object_storage.client.open_sdk",
        )


def _tls(connection: ObsConnection) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    if connection.ca_file:
        context.load_verify_locations(cadata=authority(connection).decode())
    return context


def authority(connection: ObsConnection) -> bytes:
    """Return the certificates in `ca_file`; a ConfigError where there are none."""
    try:
        text = Path(connection.ca_file or "").read_bytes()
    except OSError as error:
        raise ConfigError(
            f"The file {connection.ca_file!r} of the connection cannot be read: {error.strerror}",
            expected="ca_file to be a PEM file that the worker can read",
        ) from None
    if b"BEGIN CERTIFICATE" not in text:
        raise ConfigError(f"The file {connection.ca_file!r} holds no certificate", expected="a PEM file")
    return text


def _client_options(connection: ObsConnection) -> ClientConfig:
    options: ClientConfig = {
        "allow_http": not connection.is_secure,
        "connect_timeout": timedelta(seconds=min(CONNECT_TIMEOUT_S, connection.timeout_s)),
        "timeout": timedelta(seconds=connection.timeout_s),
    }
    if connection.ca_file:
        options["root_certificate"] = authority(connection)
    if connection.proxy_url:
        options["proxy_url"] = connection.proxy_url.get_secret_value()
    return options


def _keys(connection: ObsConnection) -> dict[str, Any]:
    if connection.credentials == "anonymous":
        return {"skip_signature": True}
    if connection.credentials != "keys":
        return {"credential_provider": HuaweiCredentials(connection)} if connection.protocol == "obs" else {}
    assert connection.secret_access_key is not None
    token = connection.security_token
    return {
        "access_key_id": connection.access_key_id,
        "secret_access_key": connection.secret_access_key.get_secret_value(),
        **({"session_token": token.get_secret_value()} if token else {}),
    }


def _sdk_keys(connection: ObsConnection) -> dict[str, Any]:
    if connection.credentials == "anonymous":
        return {}
    if connection.credentials != "keys":
        found = HuaweiCredentials(connection).find()
        return {
            "access_key_id": found["accessKey"],
            "secret_access_key": found["secretKey"],
            "security_token": found.get("securityToken"),
        }
    assert connection.secret_access_key is not None
    token = connection.security_token
    return {
        "access_key_id": connection.access_key_id,
        "secret_access_key": connection.secret_access_key.get_secret_value(),
        "security_token": token.get_secret_value() if token else None,
    }
