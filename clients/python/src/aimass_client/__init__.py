"""Ask an AI Mass inference server: every call is bounded in time, retried where that is safe, and fails with a type."""

from __future__ import annotations

from aimass_client.answers import Inference, ModelMetadata, Prediction, ScoredRow
from aimass_client.asynchronous import AsyncClient
from aimass_client.client import Client
from aimass_client.connection import Connection
from aimass_client.errors import (
    ClientError,
    ForbiddenError,
    InternalError,
    InvalidRowsError,
    MalformedError,
    NotFoundError,
    QueueFullError,
    ServerError,
    TimedOutError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    UnreachableError,
)

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Connection",
    "ForbiddenError",
    "Inference",
    "InternalError",
    "InvalidRowsError",
    "MalformedError",
    "ModelMetadata",
    "NotFoundError",
    "Prediction",
    "QueueFullError",
    "ScoredRow",
    "ServerError",
    "TimedOutError",
    "TooLargeError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnreachableError",
]
