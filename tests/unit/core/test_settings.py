from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from aimass.core.backends import backend_of
from aimass.core.errors import ConfigError
from aimass.core.registry import Registry
from aimass.core.settings import (
    OUTSIDE_KEY,
    InputMarker,
    InputUri,
    Location,
    LocationMarker,
    OutsideKeyMarker,
    Settings,
    has_marker,
    parse_settings,
)


class Inner(Settings):
    depth: int = Field(default=1, description="How deep.")


class Outer(Settings):
    dataset: InputUri = Field(description="Where.")
    path: Location = Field(default="/x", description="A free path.")
    workers: Annotated[int, OUTSIDE_KEY] = Field(default=1, description="How many.")
    inner: Inner = Field(default=Inner(), description="More.")
    several: tuple[Inner, ...] = Field(default=(), description="Much more.")


def test_markers_are_found_on_their_fields() -> None:
    fields = Outer.model_fields
    assert [has_marker(fields[name], InputMarker) for name in ("dataset", "path")] == [True, False]
    assert has_marker(fields["path"], LocationMarker)
    assert has_marker(fields["workers"], OutsideKeyMarker)


@pytest.mark.parametrize(
    ("document", "mistakes"),
    [
        ({}, [("dataset", "is required")]),
        ({"dataset": "d", "worker": 1}, [("worker", "unknown key, did you mean 'workers'?")]),
        ({"dataset": "d", "inner": {"deph": 1}}, [("inner.deph", "unknown key, did you mean 'depth'?")]),
        ({"dataset": "d", "several": [{}, {"zzz": 1}]}, [("several.1.zzz", "unknown key, known: depth")]),
    ],
)
def test_mistakes_are_named_with_key_and_nearest_valid_one(document: Any, mistakes: list[tuple[str, str]]) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_settings(Outer, document, where="the test")
    assert raised.value.details["mistakes"] == mistakes


def test_a_wrong_value_is_shown_short() -> None:
    with pytest.raises(ConfigError, match=r"In the test: workers: .* \(seen: 'xxx"):
        parse_settings(Outer, {"dataset": "d", "workers": "x" * 500}, where="the test")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Inner().depth = 2  # type: ignore[misc]


class Backend:
    """A backend with one setting."""

    Settings = Inner


REGISTRY: Registry[Any] = Registry("thing", {"one": f"{__name__}:Backend", "json": "json:loads"})


def test_backend_of_splits_name_and_settings() -> None:
    registry: Registry[Any] = Registry("splitter", {"time": "aimass.core.splitting.time:TimeSplitter"})
    backend, found = backend_of(registry, {"type": "time", "column": "t"})
    assert (backend.__name__, found.column) == ("TimeSplitter", "t")


@pytest.mark.parametrize("document", [None, "one", {}, {"type": 3}, {"type": "two"}])
def test_backend_of_refuses_what_names_no_backend(document: Any) -> None:
    with pytest.raises(ConfigError, match="Known: json, one"):
        backend_of(REGISTRY, document)
