from __future__ import annotations

from pathlib import Path

import pytest

from aimass.serving.config import ServeConfig
from aimass.serving.survey import oddities
from aimass.serving.watcher import Watcher
from tests.services.folder_registry import FolderRegistry
from tests.services.inference import inference_server


def told(registry: FolderRegistry, **options: tuple[str, ...]) -> list[str]:
    config = ServeConfig(**options)  # type: ignore[arg-type]
    return oddities(config, registry, Watcher(registry, config.models).look(lambda _: True))


def test_names_that_the_registry_has_not_are_told_with_the_nearest(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path)
    registry.add("late", 0.1)
    assert told(registry) == []
    assert told(registry, models=("late",), pins=("late@1",)) == []
    unknown, nothing = told(registry, models=("lat",))
    assert unknown == "No model 'lat' is in the registry; did you mean 'late'?"
    assert "None of the registry's 1 models is served" in nothing
    assert told(registry, pins=("zzz@1",)) == ["No model 'zzz' is in the registry."]


def test_an_empty_registry_is_told(tmp_path: Path) -> None:
    (sentence,) = told(FolderRegistry(tmp_path))
    assert "no model" in sentence


@pytest.mark.slow
@pytest.mark.xdist_group("inference server")
def test_a_server_that_serves_nothing_says_so_and_names_its_registry(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "empty")
    with inference_server(tmp_path, registry) as server:
        assert "has 0 models to serve" in server.log
        assert (
            f"nothing is served: is it the right one? See --tracking-uri. The registry is {registry.folder}"
            in server.log
        )
