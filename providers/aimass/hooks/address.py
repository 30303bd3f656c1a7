"""The address of a server that a connection names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.sdk import Connection

DEFAULT_PORTS = {"http": 80, "https": 443}
ENDS_WITH_PORT = re.compile(r":\w*$")


def address_of(connection: Connection, *, scheme: str = "http") -> str | None:
    """Return the address in host, port and schema (`scheme` where it is empty); None where there is no host.

    A host that is an address has its own scheme, and its own port where it names one.
    """
    host = connection.host
    if not host:
        return host
    parts = urlsplit(host if "://" in host else f"{connection.schema or scheme}://{host}")
    # Clients leave a default port out of what they sign, so it must not be in the address.
    is_default = connection.port == DEFAULT_PORTS.get(parts.scheme)
    if not connection.port or is_default or ENDS_WITH_PORT.search(parts.netloc):
        return parts.geturl()
    return parts._replace(netloc=f"{parts.netloc}:{connection.port}").geturl()
