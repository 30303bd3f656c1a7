"""What a bucket holds: OBS pages by marker, which is asked by Huawei's SDK; everybody else by continuation token."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import obstore

from aimass.core.errors import AimassError, NotFoundError, nearest_name
from aimass.core.object_storage.client import open_bucket, open_sdk
from aimass.core.object_storage.connection import ObsConnection
from aimass.core.object_storage.faults import asking, checked

PAGE = 1_000
NAMES_TOLD = 1_000


class Listed(NamedTuple):
    """An object as a listing shows it.

    Attributes
    ----------
    key : str
        Its name in the bucket.
    size : int
        In bytes.
    etag : str
        Which bytes they are, without quotes.
    """

    key: str
    size: int
    etag: str


def list_objects(connection: ObsConnection, bucket: str, prefix: str, *, page: int = PAGE) -> Iterator[Listed]:
    """Yield the objects of `bucket` whose keys begin with `prefix`, a request per `page` of them.

    Raises
    ------
    NotFoundError
        There is no such bucket; the nearest one is told where the keys' owner may list them.
    NotAllowedError, UnreachableError
        As `asking` says.
    """
    pages = _by_marker if connection.protocol == "obs" else _by_token
    try:
        yield from pages(connection, bucket, prefix, page)
    except NotFoundError as error:
        raise _no_bucket(connection, bucket) from error


def names_in(connection: ObsConnection, bucket: str, folder: str) -> list[str]:
    """Return the names below `folder` ("" or with a slash at its end), at most a thousand; for messages."""
    below = itertools.islice(list_objects(connection, bucket, folder), NAMES_TOLD)
    return sorted({listed.key.removeprefix(folder) for listed in below})


def bucket_names(connection: ObsConnection) -> list[str]:
    """Return the buckets of the keys' owner; none where the keys may not list them."""
    doing = f"listing the buckets of {connection.address}"
    try:
        with asking(doing):
            return [bucket.name for bucket in checked(open_sdk(connection).listBuckets(), doing).buckets]
    except AimassError:
        return []


def _by_marker(connection: ObsConnection, bucket: str, prefix: str, page: int) -> Iterator[Listed]:
    client = open_sdk(connection)
    doing = f"listing {bucket}/{prefix}"
    marker, is_over = None, False
    while not is_over:
        with asking(doing):
            answer = checked(client.listObjects(bucket, prefix=prefix, marker=marker, max_keys=page), doing)
        for item in answer.contents:
            yield Listed(item.key, int(item.size), item.etag.strip('"'))
        is_over = not answer.is_truncated or not answer.contents
        marker = answer.next_marker or (answer.contents[-1].key if answer.contents else None)


def _by_token(connection: ObsConnection, bucket: str, prefix: str, page: int) -> Iterator[Listed]:
    # A prefix is whole folders to obstore: its listing begins right before ours and is left where ours ends.
    folder = prefix.rpartition("/")[0] or None
    chunks = obstore.list(open_bucket(connection, bucket), folder, offset=prefix[:-1] or None, chunk_size=page)
    while True:
        with asking(f"listing {bucket}/{prefix}"):
            chunk = next(chunks, None)
        for item in chunk or ():
            key = item["path"]
            if key.startswith(prefix):
                yield Listed(key, item["size"], (item["e_tag"] or "").strip('"'))
        if not chunk or chunk[-1]["path"][: len(prefix)] > prefix:
            return


def _no_bucket(connection: ObsConnection, bucket: str) -> NotFoundError:
    known = bucket_names(connection)
    nearest = nearest_name(bucket, known)
    hint = f"Did you mean {nearest!r}?" if nearest else "Check the bucket's name and the connection's endpoint"
    return NotFoundError(
        f"There is no bucket {bucket!r} at {connection.address}",
        known=known or None,
        hint=hint,
        bucket=bucket,
        nearest=nearest,
    )
