"""The connection type ``aimass_obs``: Huawei Cloud's OBS, or another object store."""

from __future__ import annotations

from typing import Any


def connection_type() -> dict[str, Any]:
    """Return the type and its form as Airflow's ``provider.yaml`` describes them."""
    return {
        "connection-type": "aimass_obs",
        "hook-class-name": "aimass.hooks.obs.ObsHook",
        "hook-name": "AI Mass OBS",
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "extra"],
            "relabeling": {"host": "Endpoint", "login": "Access key (AK)", "password": "Secret key (SK)"},
            "placeholders": {"host": "https://obs.cn-north-4.myhuaweicloud.com", "port": "443"},
        },
        "conn-fields": {
            "protocol": {
                "label": "Protocol",
                "description": "obs for Huawei Cloud; s3 for Amazon, MinIO, Ceph and others.",
                "schema": {"type": ["string", "null"], "enum": ["obs", "s3"], "default": "obs"},
            },
            "addressing": {
                "label": "Addressing",
                "description": "Where the bucket stands: virtual in the host's name, which OBS demands; or path.",
                "schema": {"type": ["string", "null"], "enum": ["virtual", "path"], "default": "virtual"},
            },
            "region": _text("Region", "By the endpoint when empty."),
            "credentials": {
                "label": "Credentials",
                "description": "keys: those above; environment, ecs (a cloud server's agency), oidc (a pod's identity) "
                "or chain (the first of those three that is there); anonymous.",
                "schema": {
                    "type": ["string", "null"],
                    "enum": ["keys", "chain", "environment", "ecs", "oidc", "anonymous"],
                    "default": "keys",
                },
            },
            "security_token": _secret("Security token", "Of temporary keys."),
            "ca_file": _text(
                "CA file",
                "Authority of the server's certificate, where it is not a public one; certificates are "
                "always verified.",
            ),
            "proxy_url": _secret("Proxy", "HTTP proxy, such as http://proxy.example.org:3128."),
            "timeout_s": {
                "label": "Time-out in seconds",
                "description": "How long one answer is waited for; 60 when empty.",
                "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
            },
            "retries": {
                "label": "Retries",
                "description": "How often a request that got no answer is repeated; 3 when empty.",
                "schema": {"type": ["integer", "null"], "minimum": 0, "maximum": 10},
            },
            "bucket": _text(
                "Bucket for the test", "What the button Test asks for, where the keys may not list all buckets."
            ),
        },
    }


def _text(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"]}}


def _secret(label: str, description: str) -> dict[str, Any]:
    schema = {"type": ["string", "null"], "format": "password"}
    return {"label": label, "description": description, "schema": schema}
