"""The connection type ``aimass_hdfs``: a Hadoop file system, by RPC or by WebHDFS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aimass.core.errors import ConfigError
from aimass.core.settings import given
from aimass.core.sources.hdfs.connection import HdfsConnection
from aimass.hooks.source import SourceHook, account, ca_file_of_standard

if TYPE_CHECKING:
    from airflow.sdk import Connection

STANDARD_TYPE = "webhdfs"
FIELDS = (
    *("protocol", "token", "tls", "ca_file", "kerberos", "kerberos_principal", "kerberos_keytab", "kerberos_cache"),
    *("hadoop", "config_dir", "timeout_s"),
)


class HdfsHook(SourceHook[HdfsConnection]):
    """Reaches the file system of a connection of type ``aimass_hdfs``, or ``webhdfs`` of the official provider."""

    default_conn_name = conn_type = "aimass_hdfs"
    hook_name = "AI Mass HDFS"
    model = HdfsConnection
    secrets = ("password", "token")

    def read(self, connection: Connection) -> dict[str, Any]:
        """Return the fields of the engine's model."""
        return hdfs_document(connection)

    def check(self, connection: HdfsConnection) -> str:
        """Look at the root folder."""
        connection.open().status("/")
        return f"{connection.address} answered over {connection.protocol}"


def hdfs_document(connection: Connection) -> dict[str, Any]:
    """Return the fields of `HdfsConnection` for `connection`.

    Raises
    ------
    ConfigError
        It names no host or several, or a `webhdfs` connection asks not to verify certificates.
    """
    if not connection.host or "," in connection.host:
        raise ConfigError(
            f"The connection {connection.conn_id!r} names {'several hosts' if connection.host else 'no host'}",
            expected="one NameNode, or over RPC a name service that `hadoop` describes",
            hint="Set the field 'Host'",
        )
    is_standard = connection.conn_type == STANDARD_TYPE
    return given({**account(connection), **(_standard(connection) if is_standard else _ours(connection.extra_dejson))})


def _ours(extra: dict[str, Any]) -> dict[str, Any]:
    return {name: extra.get(name) for name in FIELDS}


def _standard(connection: Connection) -> dict[str, Any]:
    """Return what the official provider's hook takes from the extra field of a WebHDFS connection."""
    return {
        "protocol": "webhdfs",
        "tls": str(connection.extra_dejson.get("use_ssl", False)).lower() == "true",
        "ca_file": ca_file_of_standard(connection),
    }
