"""How a MongoDB deployment is reached."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from aimass.core.connections import ConnectionSettings


class MongoDbConnection(ConnectionSettings):
    """A MongoDB deployment and who reads it."""

    host: str = Field(default="localhost", description="Host, or several of a replica set as host:port,host:port.")
    port: int = Field(default=27017, ge=1, le=65535, description="Port of hosts that name none.")
    is_srv: bool = Field(default=False, description="Whether the host is a DNS name for mongodb+srv.")
    database: str | None = Field(default=None, description="Database of sources that name none.")
    user: str | None = Field(default=None, description="User name.")
    password: SecretStr | None = Field(default=None, description="Password.")
    auth_source: str | None = Field(default=None, description="Database that knows the user; `admin` when empty.")
    auth_mechanism: str | None = Field(
        default=None, description="SCRAM-SHA-256, SCRAM-SHA-1, MONGODB-X509 or PLAIN; agreed on when empty."
    )
    replica_set: str | None = Field(default=None, description="Name of the replica set.")
    is_direct: bool = Field(
        default=False,
        description="Whether only this host is spoken to, as through a tunnel, though it belongs to a replica set.",
    )
    read_preference: Literal["primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest"] = Field(
        default="primary", description="Which members are read; a secondary may lag, so rows may come late."
    )
    tls: bool = Field(default=False, description="Whether the connection is encrypted and the certificate verified.")
    ca_file: str | None = Field(default=None, description="Certificates that are trusted instead of the system's.")
    certificate_key_file: str | None = Field(default=None, description="The client's certificate and key, PEM.")
    timeout_s: float = Field(default=10, gt=0, description="Seconds until a connection must stand.")
    read_timeout_s: float = Field(default=300, gt=0, description="Seconds that one answer is waited for.")

    @property
    def address(self) -> str:
        """The host and port, as messages and the access policy name them."""
        return self.host if self.is_srv or ":" in self.host else f"{self.host}:{self.port}"
