"""What every stage's operator does: lay the trigger's `conf` over the configuration, run the stage, tell Airflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from aimass.hooks.allow import AllowList
from aimass.hooks.connections import connection_documents, connections_of_stage
from aimass.hooks.options import failpoints
from aimass.hooks.runtime import store_of
from aimass.operators.assets import SCHEME, event_extra, stage_asset
from aimass.operators.engine import EngineOperator
from aimass.operators.failures import translated_failures
from aimass.operators.forms import check_locations, read_form
from aimass.operators.progress import TaskProgress
from aimass.operators.sections import check_conf, check_connections, overlay

if TYPE_CHECKING:
    from airflow.sdk import Context

    from aimass.core.compute.base import Compute


class StageOperator(EngineOperator):
    """Run one stage of the engine.

    Parameters
    ----------
    config : mapping
        The stage's configuration; its inputs are usually other tasks' results (``split.output["uri"]``). Templated.
    compute : str or mapping
        Where the stage runs: ``"local"``, or a mapping with ``type`` and that compute's settings.
    conf_keys : mapping, optional
        What the trigger's conf may change here: ``{path in the conf: key of config}``, the empty key being the whole:
        ``{"train": ""}``.
    conf_checks : sequence of mapping, optional
        What the conf may change anywhere in the DAG; given to its first task, which then checks the whole conf before
        anything runs. See `aimass.operators.sections.check_conf`.
    form : str, optional
        The form that the trigger's conf fills in, one of `aimass.operators.forms.FORMS`: the configuration comes from
        it, and `config` holds the inputs alone.
    **kwargs
        See `EngineOperator`; the asset is ``aimass://<project>/<task_id>``.

    Returns
    -------
    dict
        The stage's result: addresses, counts, metrics; never rows or weights.
    """

    stage: ClassVar[str]
    section: ClassVar[str | None] = None
    """The stage whose configuration this is, where that is another one."""
    template_fields: Sequence[str] = ("config", *EngineOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {"config": "json"}
    ui_color = "#e6f2ef"

    def __init__(
        self,
        *,
        config: Mapping[str, Any] | None = None,
        compute: str | Mapping[str, Any] = "local",
        conf_keys: Mapping[str, str] | None = None,
        conf_checks: Sequence[Mapping[str, Any]] = (),
        form: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = config or {}
        self.compute = compute
        self.conf_keys = conf_keys
        self.conf_checks = conf_checks
        self.form = form
        if not self.outlets and "{" not in self.project:
            self.outlets = [stage_asset(self.project, self.task_id)]

    def execute(self, context: Context) -> Any:
        """Run the stage and return its result."""
        with translated_failures(), self.told_failure(context):
            self.result_ = result = self.run_stage(context, self.stage_config(context))
        self.announce(context, result)
        return result

    def stage_config(self, context: Context) -> dict[str, Any]:
        """Return the configuration of this run: what is written, under the conf's section.

        Raises
        ------
        ConfigError, NotAllowedError
            The conf is wrong or names what it may not.
        """
        conf = context["dag_run"].conf or {}
        if self.form is not None:
            return {**self._section_of_form(self.form, conf), **self.config}
        if conf and self.conf_checks:
            check_conf(conf, self.conf_checks)
        changed = overlay(self.config, conf, self.conf_keys or {})
        if changed != self.config:
            AllowList.from_options().check(conf, where="conf")
            check_connections(self.section or self.stage, self.config, changed)
            self.log.info(
                "The conf changes this stage: %s", ", ".join(k for k in changed if changed[k] != self.config.get(k))
            )
        return changed

    def _section_of_form(self, name: str, conf: Mapping[str, Any]) -> dict[str, Any]:
        form = read_form(name, conf)
        check_locations(form, AllowList.from_options(), store_of(self.store_conn_id).root)
        found: dict[str, Any] = form.section(self.section or self.stage)
        return found

    def run_stage(self, context: Context, config: Mapping[str, Any]) -> Any:
        """Run this operator's stage with `config` on its compute."""
        from aimass.core.backends import backend_of
        from aimass.core.compute import COMPUTES

        document = {"type": self.compute} if isinstance(self.compute, str) else dict(self.compute)
        backend, settings = backend_of(COMPUTES, document)
        self._running: Compute = backend(settings)
        connections = connection_documents(connections_of_stage(self.stage, config))
        runtime = self.runtime(context, connections=connections)
        self.registry_uri_ = runtime.registry_uri or runtime.tracking_uri or ""
        progress = TaskProgress(self.log, context)
        return self._running.run(self.stage, config, runtime, progress=progress, failpoints=failpoints())

    def on_kill(self) -> None:
        """Stop the stage wherever it runs."""
        running = getattr(self, "_running", None)
        if running is not None:
            running.cancel()

    def announce(self, context: Context, result: Any) -> None:
        """Say in the log whether work was reused, and hand the result's address on: to other tasks, and to assets."""
        uri = result.get("uri", "")
        self.log.info("%s: %s %s", self.stage, "reused" if result.get("reused") else "published", uri)
        if uri:
            # What `task.output["uri"]` reads.
            context["ti"].xcom_push(key="uri", value=uri)
        for outlet in self.outlets:
            if getattr(outlet, "uri", "").startswith(f"{SCHEME}://"):
                context["outlet_events"][outlet].extra = self.event(result)

    def event(self, result: Any) -> dict[str, Any]:
        """Return what the asset's event tells of `result`."""
        return event_extra(result)
