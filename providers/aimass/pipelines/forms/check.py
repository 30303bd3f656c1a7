"""What is wrong with a form, said before a run exists; and what a source looks like, for who fills the form in.

Both read the first rows through the same source that ingest uses. The engine comes with it, so it is imported inside.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aimass.core.deps import Deps, Runtime
from aimass.core.errors import (
    AimassError,
    ConfigError,
    DataError,
    NotAllowedError,
    SchemaMismatchError,
    TargetError,
    TerminalError,
    TransientError,
    nearest_name,
)
from aimass.hooks.allow import AllowList
from aimass.hooks.connections import connection_documents, connections_of_stage
from aimass.operators.forms import check_locations, read_form
from aimass.operators.ingest_form import GROUP, check_ingest, project_of_form, read_ingest_form
from aimass.operators.sections import check_conf
from aimass.pipelines.forms import form_of_dag, project_of
from aimass.pipelines.forms.base import TrainForm
from aimass.pipelines.forms.ingest import kind_of_dag
from aimass.pipelines.load import load_pipeline, pipeline_files
from aimass.pipelines.model import Pipeline

if TYPE_CHECKING:
    from aimass.core.sources.sample import Preview, Sample

SHOWN_COLUMNS = 20


class Mistake(NamedTuple):
    """Something wrong with a form.

    Attributes
    ----------
    field : str
        The field; empty where it is none in particular.
    text : str
        What was seen, what was expected, and the nearest right value.
    """

    field: str
    text: str


def check_form(name: str, values: Mapping[str, Any], *, runtime: Runtime, allow: AllowList) -> list[Mistake]:
    """Return what is wrong with the form `name` filled in with `values`, as far as the first rows show.

    Parameters
    ----------
    name : str
        One of `aimass.pipelines.forms.FORMS`.
    values : mapping
        The fields; what is left out has its default.
    runtime : Runtime
        The store (its uploads may be named), and the principal who reads.
    allow : AllowList
        What a form may name besides.

    Raises
    ------
    UnknownNameError
        There is no such form.
    TransientError
        A server with the rows does not answer: nothing can be said now.
    """
    try:
        form: TrainForm = read_form(name, values)
    except ConfigError as error:
        if "mistakes" not in error.details:
            raise
        return [Mistake(field.partition(".")[0], text) for field, text in error.details["mistakes"]]
    try:
        check_locations(form, allow, runtime.store)
    except NotAllowedError as error:
        return [Mistake(error.details["key"], str(error))]
    deps = Deps.from_runtime(runtime.model_copy(update={"project": project_of(name, form.name)}), purpose="form")
    return [*_mistake_in_name(form, deps), *_mistakes_in_rows(form, deps)]


def check_trigger(
    dag_id: str, conf: Mapping[str, Any], *, folder: Path, runtime: Runtime, allow: AllowList
) -> list[Mistake]:
    """Return what is wrong with the `conf` that a run of the DAG is to be started with; nothing for DAGs not of ours.

    Parameters
    ----------
    dag_id : str
        The DAG of a form, for training or for an ingest, or of a pipeline whose file lies in `folder`.
    conf : mapping
        What comes with the trigger.
    folder : Path
        The pipeline files.
    runtime, allow
        See `check_form`.
    """
    form = form_of_dag(dag_id)
    if form is not None:
        return check_form(form, conf, runtime=runtime, allow=allow)
    kind = kind_of_dag(dag_id)
    if kind is not None:
        return check_ingest_form(kind, conf, runtime=runtime)
    pipeline = _pipeline(dag_id, folder)
    try:
        if pipeline is not None:
            check_conf(conf, [section._asdict() for section in pipeline.sections()])
    except TerminalError as error:
        return [Mistake("", str(error))]
    return []


def check_ingest_form(kind: str, values: Mapping[str, Any], *, runtime: Runtime) -> list[Mistake]:
    """Return what is wrong with the form of an ingest, as far as the source itself can say without reading rows.

    Parameters
    ----------
    kind : str
        The type of the source.
    values : mapping
        The fields.
    runtime : Runtime
        See `check_form`; the connections come from Airflow.

    Raises
    ------
    TransientError
        The server does not answer: nothing can be said now.
    """
    from aimass.core.backends import backend_of
    from aimass.core.sources import SOURCES

    try:
        config = read_ingest_form(kind, values)
        check_ingest(config, AllowList.for_forms(), runtime.store)
        known = {
            "project": project_of_form(kind, values.get(GROUP)),
            "connections": connection_documents(connections_of_stage("ingest", config)),
        }
        deps = Deps.from_runtime(runtime.model_copy(update=known), purpose="form")
        backend, settings = backend_of(SOURCES, config["source"])
        source = backend(settings, deps)
        position = source.position()
        if config.get("mode") == "incremental":
            # A source that cannot tell what is new says so here.
            source.position(position)
    except TransientError:
        raise
    except AimassError as error:
        mistakes = error.details.get("mistakes") or [(error.details.get("key", ""), str(error))]
        return [Mistake(field, text) for field, text in mistakes]
    return []


def _pipeline(dag_id: str, folder: Path) -> Pipeline | None:
    for file in pipeline_files(folder):
        # What is wrong with a file is told by its own DAG.
        with contextlib.suppress(AimassError):
            pipeline = load_pipeline(file)
            if pipeline.dag_id == dag_id:
                return pipeline
    return None


def preview(source: Mapping[str, Any], *, runtime: Runtime, allow: AllowList) -> Preview:
    """Return what the first rows of ``{"type": "files", "uri": …}`` look like.

    Raises
    ------
    NotAllowedError
        It names a path or connection that ``[aimass]`` does not allow.
    AimassError
        It cannot be read; the message says why.
    """
    from aimass.core.sources.sample import preview as look
    from aimass.core.sources.sample import take_sample

    allow.with_uploads(runtime.store, *map(str, source.values())).check(source, where="source")
    return look(take_sample(source, Deps.from_runtime(runtime, purpose="form")))


def _mistake_in_name(form: TrainForm, deps: Deps) -> Iterator[Mistake]:
    """Look whether the model's name is another project's; a registry that does not answer is asked by the release."""
    from aimass.core.release.promotion import open_registry, refuse_takeover
    from aimass.core.stages import STAGES
    from aimass.core.tracking.connection import is_there

    registry = STAGES.load("release").config.model_fields["registry"].get_default(call_default_factory=True)
    try:
        if is_there(deps):
            refuse_takeover(open_registry(registry, deps), deps, form.name)
    except AimassError as error:
        if "owner" in error.details:
            yield Mistake("name", str(error))


def _mistakes_in_rows(form: TrainForm, deps: Deps) -> Iterator[Mistake]:
    from aimass.core.sources.sample import take_sample

    place = next((field for field, _ in form.locations()), "")
    try:
        sample = take_sample(form.source(), deps)
        _refuse_rejects(form, sample)
    except TransientError:
        raise
    except AimassError as error:
        yield Mistake(place, str(error))
        return
    known = sample.rows.columns
    unknown = [*_unknown_columns(form, known)]
    yield from unknown
    if unknown:
        return
    if not {*(form.columns or known)} - {form.target, form.time_column, *form.id_columns}:
        yield Mistake("columns", "no column is left to learn from: these are the target, the time or identifiers")
        return
    yield from _mistakes_in_target(form, sample)


def _refuse_rejects(form: TrainForm, sample: Sample) -> None:
    """Raise what ingest would raise where too many rows do not fit, or there are none."""
    from aimass.core.stages import STAGES

    stage = STAGES.load("ingest")
    assert stage.refusal is not None
    result = stage.result(
        rows=sample.rows.height,
        rejected=sum(sample.reasons.values()),
        reject_reasons=sample.reasons,
        reject_examples=sample.examples,
        max_reject_share=stage.config(**form.section("ingest")).max_reject_share,
    )
    refused = stage.refusal(result) if sample.is_whole else None
    if refused is not None:
        raise DataError(_seen(refused))


def _unknown_columns(form: TrainForm, known: list[str]) -> Iterator[Mistake]:
    named = {
        "target": [form.target],
        "time_column": [form.time_column] if form.time_column else [],
        "id_columns": form.id_columns,
        "columns": form.columns,
    }
    for field, names in named.items():
        for name in names:
            if name not in known:
                yield Mistake(field, f"there is no column {name!r}{_hint(name, known)}")


def _hint(name: str, known: list[str]) -> str:
    nearest = nearest_name(name, known)
    if nearest:
        return f", did you mean {nearest!r}?"
    if len(known) == 1:
        return f": the only column is {known[0]!r}; is the delimiter right?"
    return f", known: {', '.join(known[:SHOWN_COLUMNS])}{', …' if len(known) > SHOWN_COLUMNS else ''}"


def _mistakes_in_target(form: TrainForm, sample: Sample) -> Iterator[Mistake]:
    """Look at the target and rehearse the split, as the run will."""
    from aimass.core.splitting.counts import rehearse
    from aimass.core.target import TargetSettings, TargetWatch, target_expression

    section = form.section("join")["target"]
    settings = TargetSettings.model_validate(section)
    watch = TargetWatch(settings)
    try:
        expression = target_expression(settings, sample.rows.schema)
        rows = watch.see(sample.rows.with_columns(expression))
        if sample.is_whole or len(watch.classes) == 2:
            watch.finish()
    except TargetError as error:
        yield Mistake("positive" if "positive" in error.details else "target", _seen(error))
        return
    try:
        rehearse(form.section("split")["split"], rows, form.target, is_whole=sample.is_whole)
    except SchemaMismatchError as error:
        yield Mistake("time_column", _seen(error))
    except AimassError as error:
        yield Mistake("split", str(error) if isinstance(error, TargetError) else _seen(error))


def _seen(error: AimassError) -> str:
    """Return the error without its hint, which speaks of a pipeline's YAML."""
    return f"{error.message}; expected: {error.expected}" if error.expected else error.message
