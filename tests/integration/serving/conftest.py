"""What the folder's tests share: a registry with two models."""

from __future__ import annotations

import pytest

from tests.services.folder_registry import FolderRegistry


@pytest.fixture(scope="module")
def folder_registry(tmp_path_factory: pytest.TempPathFactory) -> FolderRegistry:
    registry = FolderRegistry(tmp_path_factory.mktemp("registry"))
    for name in ("late", "other"):
        registry.add(name, 0.1)
        registry.set_alias(name, "champion", "1")
    return registry
