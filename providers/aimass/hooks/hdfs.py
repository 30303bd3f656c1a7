"""The connection type ``aimass_hdfs``: a Hadoop file system, by RPC or by WebHDFS."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret

from aimass.core.connections import parse_connection
from aimass.core.errors import AimassError, ConfigError
from aimass.core.settings import given
from aimass.core.sources.hdfs.connection import HdfsConnection

TEST_TIMEOUT_S = 10.0
STANDARD_TYPE = "webhdfs"
FIELDS = (
    *("protocol", "token", "tls", "ca_file", "kerberos", "kerberos_principal", "kerberos_keytab", "kerberos_cache"),
    *("hadoop", "config_dir", "timeout_s"),
)


class HdfsHook(BaseHook):
    """Reads the file system that a connection describes.

    Parameters
    ----------
    hdfs_conn_id : str
        Connection of type ``aimass_hdfs``, or ``webhdfs`` of the official provider.
    """

    conn_name_attr = "hdfs_conn_id"
    default_conn_name = "aimass_hdfs"
    conn_type = "aimass_hdfs"
    hook_name = "AI Mass HDFS"

    def __init__(self, hdfs_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.hdfs_conn_id = hdfs_conn_id

    def document(self) -> dict[str, Any]:
        """Return the fields of `HdfsConnection`; raises ConfigError where the connection names no single host."""
        return hdfs_document(self.get_connection(self.hdfs_conn_id))

    def get_conn(self) -> HdfsConnection:
        """Return the connection as the engine's model; its `open` gives a client."""
        return parse_connection(self.hdfs_conn_id, self.document(), HdfsConnection)

    def test_connection(self) -> tuple[bool, str]:
        """Look at the root folder; return whether that worked and what happened."""
        try:
            connection = self.get_conn()
            bounded = connection.model_copy(update={"timeout_s": min(connection.timeout_s, TEST_TIMEOUT_S)})
            bounded.open().status("/")
        except (AimassError, OSError) as error:
            return False, str(error)
        return True, f"{connection.address} answered over {connection.protocol}"


def hdfs_document(connection: Connection) -> dict[str, Any]:
    """Return the fields of `HdfsConnection` for `connection`."""
    if not connection.host or "," in connection.host:
        raise ConfigError(
            f"The connection {connection.conn_id!r} names {'several hosts' if connection.host else 'no host'}",
            expected="one NameNode, or over RPC a name service that `hadoop` describes",
            hint="Set the field 'Host'",
        )
    is_standard = connection.conn_type == STANDARD_TYPE
    document = given(
        {
            "host": connection.host,
            "port": connection.port,
            "user": connection.login,
            "password": connection.password,
            **(_standard(connection.extra_dejson) if is_standard else _ours(connection.extra_dejson)),
        }
    )
    for secret in ("password", "token"):
        if document.get(secret):
            mask_secret(document[secret])
    return document


def _ours(extra: dict[str, Any]) -> dict[str, Any]:
    return {name: extra.get(name) for name in FIELDS}


def _standard(extra: dict[str, Any]) -> dict[str, Any]:
    """Return what the official provider's hook takes from the extra field of a WebHDFS connection."""
    verify = extra.get("verify")
    return {
        "protocol": "webhdfs",
        "tls": str(extra.get("use_ssl", False)).lower() == "true",
        "ca_file": verify if isinstance(verify, str) and verify.lower() not in ("true", "false") else None,
    }
