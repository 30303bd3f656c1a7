"""What operators have that do what a request asks, to a registered model and on the servers that serve it.

A request is a flat model: the fields of the trigger form of a DAG that does it, and what a team's own DAG writes down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import AfterValidator, Field

from aimass.core.errors import NotAllowedError, NotFoundError
from aimass.core.release.base import ALIAS_PATTERN, NAME_PATTERN
from aimass.core.settings import LocationMarker, Settings, given, has_marker, parse_settings
from aimass.hooks.allow import AllowList
from aimass.hooks.options import failpoints
from aimass.hooks.runtime import store_of
from aimass.hooks.serving import ServingHook, conn_ids, endpoints_of
from aimass.operators.engine import EngineOperator
from aimass.operators.failures import translated_failures
from aimass.operators.forms import FOREIGN_PREFIX
from aimass.operators.progress import TaskProgress

if TYPE_CHECKING:
    from airflow.sdk import Context

    from aimass.core.deps import Deps
    from aimass.core.endpoints.base import Endpoint
    from aimass.core.release.base import ModelRegistry


def _possible_alias(alias: str) -> str:
    if not re.match(ALIAS_PATTERN, alias):
        raise ValueError("letters, digits, - and _ are allowed; not 'latest' or v1, v2 …")
    return alias


Alias = Annotated[str, AfterValidator(_possible_alias)]
"""What an alias may be called; pydantic's own patterns cannot look ahead."""


class ConnectionsMarker:
    """The field names connections of servers: a trigger's `conf` may name only those that are allowed."""


Servers = Annotated[str, ConnectionsMarker()]
"""Ids of connections of the type ``aimass_serving``, separated by commas."""


class ModelRequest(Settings):
    """What every request names; a subclass adds what it asks for.

    Each field has a title and a description for the trigger form; see `aimass.pipelines.forms.form_params`.
    """

    model: str = Field(
        pattern=NAME_PATTERN,
        title="Model",
        description="Name of the registered model.",
        json_schema_extra={"section": "Model"},
    )

    def marked(self, marker: type[Any]) -> Iterator[tuple[str, str]]:
        """Yield ``(field, value)`` of every field with that marker that has a value."""
        for name, info in type(self).model_fields.items():
            if getattr(self, name) and has_marker(info, marker):
                yield name, getattr(self, name)


class ServedModelRequest(ModelRequest):
    """A request that concerns the servers, too."""

    endpoint: Servers = Field(
        default=ServingHook.default_conn_name,
        title="Servers",
        description="Connections of the inference servers, separated by commas.",
        json_schema_extra={"section": "Servers"},
    )


R = TypeVar("R", bound=ModelRequest)


class RequestOperator(EngineOperator, Generic[R]):
    """Do what a request asks.

    Parameters
    ----------
    request : mapping
        Fields of the request; those that render to nothing count as left out. Templated.
    from_params : bool
        The run's parameters are the request, and `request` only fills in what they leave out: the DAG is triggered by
        a form. What they name must be allowed.
    allowed_conn_ids : sequence of str
        Connections that the parameters may name besides those of ``[aimass] allowed_connections``.
    registry : mapping
        The model registry.
    **kwargs
        See `EngineOperator`; the project is the one that the model belongs to.
    """

    Request: ClassVar[type[ModelRequest]]
    template_fields: Sequence[str] = ("request",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"request": "json"}
    ui_color = "#e8eef8"

    def __init__(
        self,
        *,
        request: Mapping[str, Any] | None = None,
        from_params: bool = False,
        allowed_conn_ids: Sequence[str] = (),
        registry: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.request = request or {}
        self.from_params = from_params
        self.allowed_conn_ids = allowed_conn_ids
        self.registry = registry or {"type": "mlflow"}

    def execute(self, context: Context) -> Any:
        """Do it, and return what was done."""
        with translated_failures(), self.told_failure(context):
            self.result_ = result = self.act(self.read(context), context)
        return result

    def act(self, request: R, context: Context) -> Any:
        """Do what `request` asks; what is returned is JSON-able."""
        raise TypeError(f"{type(self).__name__} does not say what it does")

    def read(self, context: Context) -> R:
        """Return the request of this run.

        Raises
        ------
        ConfigError
            A field is unknown, missing or impossible.
        NotAllowedError
            The run's parameters name a connection or a path that is not allowed.
        """
        document = given(self.request)
        if self.from_params:
            document |= self._params(context)
        found: R = parse_settings(self.Request, document, where="the request")  # type: ignore[assignment] # R's class
        if self.from_params:
            self._check(found)
        return found

    def _params(self, context: Context) -> dict[str, Any]:
        """Return the run's parameters that are this request's, and those that are nobody's: they are mistakes."""
        others = set(context["dag"].params) - set(self.Request.model_fields)
        params = {**context["params"], **(context["dag_run"].conf or {})}
        own = {name: value for name, value in params.items() if not name.startswith(FOREIGN_PREFIX)}
        return given({name: value for name, value in own.items() if name not in others})

    def deps(self, request: ModelRequest, context: Context) -> Deps:
        """Return the engine's surroundings, in the project that the model belongs to.

        Raises
        ------
        NotFoundError
            No such model is registered.
        """
        from aimass.core.deps import Deps

        deps = Deps.from_runtime(
            self.runtime(context), progress=TaskProgress(self.log, context), failpoints=failpoints()
        ).with_purpose(self.task_type.removesuffix("Operator").lower())
        project = project_of(self.open_registry(deps), request.model)
        return replace(deps, runtime=deps.runtime.model_copy(update={"project": project}))

    def open_registry(self, deps: Deps) -> ModelRegistry:
        """Return the model registry."""
        from aimass.core.release.promotion import open_registry

        return open_registry(self.registry, deps)

    def servers(self, request: ServedModelRequest) -> Mapping[str, Endpoint]:
        """Return the servers that `request` concerns, by the ids of their connections."""
        return endpoints_of(request.endpoint)

    def _check(self, request: ModelRequest) -> None:
        allow = AllowList.from_options()
        allowed = {*allow.connections, *self.allowed_conn_ids, ServingHook.default_conn_name}
        for field, value in request.marked(ConnectionsMarker):
            for name in conn_ids(value):
                if name not in allowed:
                    raise NotAllowedError(
                        f"The conf names the connection {name!r} at {field}",
                        expected="one of a watch file, or one allowed by [aimass] allowed_connections",
                        known=allowed,
                    )
        store = store_of(self.store_conn_id).root
        for field, value in request.marked(LocationMarker):
            # What our own tasks published may be named: whether it may be read is the access policy's business.
            replace(allow, roots=[*allow.roots, store]).check_location(value, where=field)


def project_of(registry: ModelRegistry, model: str) -> str:
    """Return the project that `model` belongs to.

    Raises
    ------
    NotFoundError
        No such model is registered.
    """
    found = registry.model(model)
    if found is None:
        raise NotFoundError(
            f"There is no registered model {model!r}",
            known=[each.name for each in registry.models()],
            hint="A pipeline with the section release registers one",
        )
    return found.project or "default"
