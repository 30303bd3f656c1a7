"""The connection type ``aimass_hdfs``: a Hadoop file system."""

from __future__ import annotations

from typing import Any

_TEXT = {"type": ["string", "null"]}
_FLAG = {"type": ["boolean", "null"], "default": False}


def connection_type() -> dict[str, Any]:
    """Return the type and its form as Airflow's ``provider.yaml`` describes them."""
    return {
        "connection-type": "aimass_hdfs",
        "hook-class-name": "aimass.hooks.hdfs.HdfsHook",
        "hook-name": "AI Mass HDFS",
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "extra"],
            "relabeling": {"login": "User"},
            "placeholders": {
                "host": "namenode.example.org, or a name service",
                "port": "8020 for RPC, 9870 for WebHDFS; empty for a name service",
                "login": "who reads; the user of the worker when empty",
                "password": "for a gateway with basic authentication (WebHDFS)",
            },
        },
        "conn-fields": {
            "protocol": {
                "label": "Protocol",
                "description": "rpc: straight to NameNode and DataNodes. webhdfs: over HTTP, also through a gateway.",
                "schema": {"type": "string", "enum": ["rpc", "webhdfs"], "default": "rpc"},
            },
            "tls": _field("HTTPS", "Whether WebHDFS is spoken over HTTPS.", _FLAG),
            "ca_file": _field(
                "CA file", "Certificates to trust instead of the system's, where the server has its own.", _TEXT
            ),
            "token": {
                "label": "Delegation token",
                "description": "For WebHDFS, instead of a user.",
                "schema": {**_TEXT, "format": "password"},
            },
            "hadoop": {
                "label": "Hadoop settings",
                "description": "A JSON object of settings, such as those of a name service: dfs.ha.namenodes.<name>, "
                "dfs.namenode.rpc-address.<name>.<node>.",
                "schema": {"type": ["object", "null"]},
            },
            "config_dir": _field(
                "Folder of settings", "Folder on the worker with core-site.xml and hdfs-site.xml.", _TEXT
            ),
            "kerberos": _field("Kerberos", "Whether to authenticate by Kerberos.", _FLAG),
            "kerberos_principal": _field("Principal", "Who logs in with the key table (RPC).", _TEXT),
            "kerberos_keytab": _field("Key table", "File on the worker to log in with (RPC).", _TEXT),
            "kerberos_cache": _field("Ticket cache", "Ticket cache on the worker to use (RPC).", _TEXT),
            "timeout_s": {
                "label": "Time-out in seconds",
                "description": "How long one answer is waited for.",
                "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
            },
        },
    }


def _field(label: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": schema}
