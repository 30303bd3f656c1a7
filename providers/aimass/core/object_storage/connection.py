"""How an object store is reached."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from aimass.core.connections import ConnectionSettings

Protocol = Literal["obs", "s3"]
Addressing = Literal["virtual", "path"]
Credentials = Literal["keys", "chain", "environment", "ecs", "oidc", "anonymous"]

SCHEMES = ("obs", "s3")
ONLY_OBS = ("environment", "ecs", "oidc")
OBS_HOST = re.compile(r"obs\.([a-z0-9-]+)\.myhuaweicloud\.(com|eu)")
S3_REGION = "us-east-1"


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of ``obs://bucket/key`` or ``s3://bucket/key``, without a slash at the key's end.

    Raises
    ------
    ValueError
        It is another kind of address, or names no bucket.
    """
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme not in SCHEMES or not separator or not re.fullmatch(r"[A-Za-z0-9._-]+", bucket):
        raise ValueError("not obs://<bucket>/<key>")
    return bucket, key.rstrip("/")


class ObsConnection(ConnectionSettings):
    """An object store and who asks it."""

    endpoint: str | None = Field(
        default=None,
        description="Its address without a bucket, such as https://obs.cn-north-4.myhuaweicloud.com; http:// without "
        "TLS. Amazon's own when empty and the protocol is s3.",
    )
    protocol: Protocol = Field(
        default="obs", description="obs for Huawei Cloud; s3 for Amazon, MinIO, Ceph, SeaweedFS and others."
    )
    addressing: Addressing = Field(
        default="virtual",
        description="Where the bucket stands: virtual in the host's name, which OBS demands, or in the path.",
    )
    region: str | None = Field(default=None, description="The region; by the endpoint when empty.")
    credentials: Credentials = Field(
        default="keys",
        description="Who asks: the keys below; environment (OBS_ACCESS_KEY_ID …), ecs (the agency of a cloud server), "
        "oidc (the identity of a pod), chain (the first of those three that is there; with s3, what Amazon's tools "
        "would find); anonymous.",
    )
    access_key_id: str | None = Field(default=None, description="Access key (AK).")
    secret_access_key: SecretStr | None = Field(default=None, description="Secret key (SK).")
    security_token: SecretStr | None = Field(default=None, description="Token that belongs to temporary keys.")
    ca_file: str | None = Field(
        default=None,
        description="PEM file of the authority that signed the server's certificate, where it is not a "
        "public one. Certificates are always verified.",
    )
    proxy_url: SecretStr | None = Field(default=None, description="HTTP proxy, such as http://proxy.example.org:3128.")
    timeout_s: float = Field(default=60, gt=0, description="How long one answer is waited for.")
    retries: int = Field(default=3, ge=0, le=10, description="How often a request that got no answer is repeated.")

    @field_validator("endpoint")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        address = (value if "://" in value else f"https://{value}").rstrip("/")
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query or parts.username:
            raise ValueError("not https://<host>[:<port>] without a bucket or keys")
        return address

    @model_validator(mode="after")
    def _fits(self) -> ObsConnection:
        if self.credentials == "keys" and not (self.access_key_id and self.secret_access_key):
            raise ValueError("credentials are keys, so access_key_id and secret_access_key are needed")
        if self.protocol == "s3" and self.credentials in ONLY_OBS:
            raise ValueError(f"credentials {self.credentials} are Huawei Cloud's; with the protocol s3 use chain")
        if self.protocol == "obs" and not self.endpoint:
            raise ValueError("the protocol obs needs an endpoint, such as https://obs.cn-north-4.myhuaweicloud.com")
        return self

    @property
    def address(self) -> str:
        """The endpoint, Amazon's where none is given."""
        return self.endpoint or f"https://s3.{self.region or S3_REGION}.amazonaws.com"

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.address.startswith("https://")

    @property
    def signing_region(self) -> str:
        """The region that signatures name."""
        found = OBS_HOST.search(self.address)
        return self.region or (found.group(1) if found else S3_REGION)

    def bucket_address(self, bucket: str) -> str:
        """Return the address at which `bucket` is asked: with its name in the host where addressing is virtual."""
        if self.addressing == "path":
            return self.address
        scheme, _, host = self.address.partition("://")
        return f"{scheme}://{bucket}.{host}"
