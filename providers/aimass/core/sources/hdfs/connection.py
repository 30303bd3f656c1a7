"""What reaches a file system, and the client for its protocol."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, model_validator

from aimass.core.connections import ConnectionSettings
from aimass.core.sources.hdfs.client import HdfsClient

RPC_PORT = 8020
WEB_PORT = 9870


class HdfsConnection(ConnectionSettings):
    """A NameNode, a pair of them under one name, or a gateway that speaks WebHDFS."""

    host: str = Field(
        min_length=1, description="The NameNode's host; over RPC also a name service that `hadoop` or `config_dir` has."
    )
    port: int | None = Field(
        default=None, ge=1, le=65_535, description="Its port; 8020 for RPC and 9870 for WebHDFS when empty."
    )
    protocol: Literal["rpc", "webhdfs"] = Field(
        default="rpc", description="rpc: straight to NameNode and DataNodes; webhdfs: over HTTP."
    )
    user: str | None = Field(default=None, description="Who reads; the user of the process when empty.")
    password: SecretStr | None = Field(
        default=None, description="Password for a gateway with basic authentication (WebHDFS)."
    )
    token: SecretStr | None = Field(default=None, description="Delegation token (WebHDFS).")
    tls: bool = Field(default=False, description="Whether WebHDFS is spoken over HTTPS.")
    ca_file: str | None = Field(
        default=None, description="Certificates to trust instead of the system's, where WebHDFS is spoken over HTTPS."
    )
    kerberos: bool = Field(default=False, description="Whether to authenticate by Kerberos.")
    kerberos_principal: str | None = Field(default=None, description="Principal for `kerberos_keytab` (RPC).")
    kerberos_keytab: str | None = Field(default=None, description="Key table to log in with (RPC).")
    kerberos_cache: str | None = Field(default=None, description="Ticket cache to use (RPC).")
    hadoop: dict[str, str] = Field(
        default_factory=dict,
        description="Further Hadoop settings (RPC), such as dfs.nameservices, dfs.ha.namenodes.… and "
        "dfs.namenode.rpc-address.… of a name service.",
    )
    config_dir: str | None = Field(
        default=None, description="Folder with core-site.xml and hdfs-site.xml to take settings from (RPC)."
    )
    timeout_s: float = Field(default=30.0, gt=0, description="How long one answer is waited for, in seconds.")

    @model_validator(mode="after")
    def _fits(self) -> HdfsConnection:
        if self.protocol == "webhdfs" and self.password and (self.token or self.kerberos or not self.user):
            raise ValueError("a password over WebHDFS needs a user, and neither a token nor Kerberos")
        return self

    @property
    def is_name_service(self) -> bool:
        """Whether the host is a name for several NameNodes."""
        return self.port is None and (self.config_dir is not None or f"dfs.ha.namenodes.{self.host}" in self.hadoop)

    @property
    def address(self) -> str:
        """Host and port as a URL has them; a name service has no port."""
        if self.is_name_service:
            return self.host
        return f"{self.host}:{self.port or (RPC_PORT if self.protocol == 'rpc' else WEB_PORT)}"

    def open(self) -> HdfsClient:
        """Return a client; nothing is asked yet.

        Raises
        ------
        MissingDependencyError
            The package for the protocol is not installed.
        """
        if self.protocol == "rpc":
            from aimass.core.sources.hdfs.rpc import RpcClient

            return RpcClient(self)
        from aimass.core.sources.hdfs.web import WebClient

        return WebClient(self)
