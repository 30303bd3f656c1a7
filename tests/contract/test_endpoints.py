"""Every endpoint keeps the same promises; the server in memory is one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.endpoints import Endpoint
from aimass.core.endpoints.http import HttpEndpoint, HttpSettings
from aimass.core.release.base import ModelRegistry
from aimass.core.release.promotion import open_registry
from aimass.core.testing.endpoints import MemoryEndpoint, MemoryEndpointSettings
from aimass.core.testing.endpoints_contract import EndpointContract
from tests.services.answering import answering, in_front_of


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return open_registry({"type": "memory"}, Deps.from_runtime(Runtime(store=str(tmp_path / "store"))))


@pytest.fixture
def memory(tmp_path: Path) -> MemoryEndpoint:
    return MemoryEndpoint(MemoryEndpointSettings(store=str(tmp_path / "store")))


class TestMemory(EndpointContract):
    @pytest.fixture
    def endpoint(self, memory: MemoryEndpoint) -> Endpoint:
        return memory


class TestHttp(EndpointContract):
    """The way there and back, before a server in memory; the real server passes the contract in tests/integration."""

    @pytest.fixture
    def endpoint(self, memory: MemoryEndpoint) -> Iterator[Endpoint]:
        with answering(in_front_of(memory)) as url:
            yield HttpEndpoint(HttpSettings(url=url))
