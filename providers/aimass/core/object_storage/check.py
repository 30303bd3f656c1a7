"""Whether a connection works, in one request."""

from __future__ import annotations

import itertools

from aimass.core.object_storage.client import open_sdk
from aimass.core.object_storage.connection import ObsConnection
from aimass.core.object_storage.faults import asking, checked
from aimass.core.object_storage.listing import list_objects


def check(connection: ObsConnection, bucket: str | None = None) -> str:
    """Ask for an object of `bucket`, or for the buckets where none is named; return what was found.

    Raises
    ------
    NotFoundError, NotAllowedError, UnreachableError
        What is wrong.
    """
    if bucket:
        found = next(iter(itertools.islice(list_objects(connection, bucket, "", page=1), 1)), None)
        return f"{connection.address} answered; {bucket} holds {'objects' if found else 'no object yet'}"
    doing = f"listing the buckets of {connection.address}"
    with asking(doing):
        names = [entry.name for entry in checked(open_sdk(connection).listBuckets(), doing).buckets]
    return f"{connection.address} answered; buckets: {', '.join(names[:10]) or 'none'}"
