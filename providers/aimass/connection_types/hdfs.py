"""The connection type ``aimass_hdfs``: a Hadoop file system."""

from __future__ import annotations

from typing import Any

OPTIONAL_TEXT = {"type": ["string", "null"]}
OPTIONAL_FLAG = {"type": ["boolean", "null"], "default": False}


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
            "tls": {
                "label": "HTTPS",
                "description": "Whether WebHDFS is spoken over HTTPS.",
                "schema": OPTIONAL_FLAG,
            },
            "ca_file": {
                "label": "CA file",
                "description": "Certificates to trust instead of the system's, where the server has its own.",
                "schema": OPTIONAL_TEXT,
            },
            "token": {
                "label": "Delegation token",
                "description": "For WebHDFS, instead of a user.",
                "schema": {**OPTIONAL_TEXT, "format": "password"},
            },
            "hadoop": {
                "label": "Hadoop settings",
                "description": "A JSON object of settings, such as those of a name service: dfs.ha.namenodes.<name>, "
                "dfs.namenode.rpc-address.<name>.<node>.",
                "schema": {"type": ["object", "null"]},
            },
            "config_dir": {
                "label": "Folder of settings",
                "description": "Folder on the worker with core-site.xml and hdfs-site.xml.",
                "schema": OPTIONAL_TEXT,
            },
            "kerberos": {
                "label": "Kerberos",
                "description": "Whether to authenticate by Kerberos.",
                "schema": OPTIONAL_FLAG,
            },
            "kerberos_principal": {
                "label": "Principal",
                "description": "Who logs in with the key table (RPC).",
                "schema": OPTIONAL_TEXT,
            },
            "kerberos_keytab": {
                "label": "Key table",
                "description": "File on the worker to log in with (RPC).",
                "schema": OPTIONAL_TEXT,
            },
            "kerberos_cache": {
                "label": "Ticket cache",
                "description": "Ticket cache on the worker to use (RPC).",
                "schema": OPTIONAL_TEXT,
            },
            "timeout_s": {
                "label": "Time-out in seconds",
                "description": "How long one answer is waited for.",
                "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
            },
        },
    }
