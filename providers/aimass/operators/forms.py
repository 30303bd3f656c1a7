"""Forms: what a trigger's flat parameters stand for, as operators see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from aimass.core.registry import Registry
from aimass.core.settings import parse_settings
from aimass.hooks.allow import AllowList

# Airflow's own operators put such keys into a conf; they are not for us.
FOREIGN_PREFIX = "_"


class Form(Protocol):
    """A filled-in form: a pydantic model of flat, typed fields."""

    def section(self, stage: str) -> dict[str, Any]:
        """Return the configuration of `stage`, without its inputs."""

    def locations(self) -> Iterator[tuple[str, str]]:
        """Yield ``(field, path)`` of every path or URI that the form names."""


FORMS: Registry[type[Form]] = Registry("form", {"file": "aimass.pipelines.forms.file:FileForm"})


def read_form(name: str, values: Mapping[str, Any]) -> Any:
    """Return the form `name` filled in with `values`, such as a trigger's parameters.

    Raises
    ------
    UnknownNameError
        There is no such form.
    ConfigError
        Fields are unknown, missing or impossible; ``details["mistakes"]`` has each as ``(field, text)``.
    """
    own = {key: value for key, value in values.items() if not key.startswith(FOREIGN_PREFIX)}
    return parse_settings(FORMS.load(name), own, where=f"the form {name!r}")  # type: ignore[type-var] # a model


def check_locations(form: Form, allow: AllowList, store: str) -> None:
    """Raise NotAllowedError where `form` names what neither ``[aimass]`` allows nor our page uploaded into `store`."""
    for field, value in form.locations():
        allow.with_uploads(store, value).check_location(value, where=field)
