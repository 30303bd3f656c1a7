"""How a MySQL server is reached."""

from __future__ import annotations

import ssl
from typing import Literal
from urllib.parse import quote, urlencode

from pydantic import Field, SecretStr

from aimass.core.connections import ConnectionSettings


class MySqlConnection(ConnectionSettings):
    """Where the server is and who asks."""

    host: str = Field(description="Name or address of the server.")
    port: int = Field(default=3306, ge=1, le=65_535, description="Its port.")
    user: str = Field(description="Who asks; needs SELECT on what is read.")
    password: SecretStr = Field(default=SecretStr(""), description="The user's password.")
    database: str = Field(default="", description="The schema of tables that are named without one.")
    tls: Literal["verified", "off"] = Field(
        default="verified",
        description="verified: encrypted, and the certificate must be the host's and signed by a known authority; off: "
        "all crosses the network as it is but the password, which goes as a hash or under a key that the server sends.",
    )
    tls_ca: str = Field(
        default="", description="File of the authorities that may sign the server's certificate; the system's if empty."
    )
    connect_timeout_s: int = Field(default=10, ge=1, description="How long the server may take to answer at first.")
    read_timeout_s: int = Field(
        default=300, ge=1, description="How long it may take to send anything more, such as a query's first row."
    )

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        return f"{self.host}:{self.port}"

    def url(self) -> str:
        """Return the address as connectorx takes it; it holds the password, so it belongs into no message."""
        who = f"{quote(self.user, safe='')}:{quote(self.password.get_secret_value(), safe='')}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        options = {
            "tcp_connect_timeout_ms": self.connect_timeout_s * 1000,
            "tcp_keepalive_time_ms": 30_000,
            "tcp_user_timeout_ms": self.read_timeout_s * 1000,
            "prefer_socket": "false",
        }
        if self.tls == "verified":
            options |= {"ssl-mode": "VERIFY_IDENTITY", "ssl-ca": self.authorities}
        return f"mysql://{who}@{host}:{self.port}/{quote(self.database, safe='')}?{urlencode(options)}"

    @property
    def authorities(self) -> str:
        """The file of authorities, the system's where none is set."""
        return self.tls_ca or ssl.get_default_verify_paths().cafile or ""
