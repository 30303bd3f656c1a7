"""A new model, from a file of one's own: upload it or name it, say what is to be predicted, start.

No ``from __future__ import annotations``: see `aimass.ui.security`.
"""

import contextlib
from collections import defaultdict
from typing import Any

from airflow.models.dag import DagModel
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from aimass.core.errors import AimassError, ConfigError, NotAllowedError, NotFoundError, TransientError
from aimass.core.sources.sample import Preview
from aimass.hooks.allow import AllowList
from aimass.pipelines.forms import FORMS, TrainForm, form_dag_id
from aimass.pipelines.forms.check import check_form, preview
from aimass.ui.airflow_app import trigger
from aimass.ui.form_fields import LEARN, ROLES, Roles, column_values, form_fields, suggest_roles, typed_values
from aimass.ui.naming import model_name
from aimass.ui.pages import language_of, links_of, page
from aimass.ui.security import Reader, may_trigger, same_origin
from aimass.ui.surroundings import deps_for
from aimass.ui.uploads import refuse_too_long, save_upload, upload_limit_mb

FILE = "file"
# In the order in which they are tried: UTF-8 refuses what it is not, the Chinese one reads nearly anything.
ENCODINGS = ("utf-8", "gb18030")
DELIMITERS = ("semicolon", "tab", "bar")
router = APIRouter(prefix="/new")


@router.get("")
def begin(request: Request, reader: Reader) -> HTMLResponse:
    """Ask for the file."""
    _refuse_unless_startable(reader, FILE)
    return page(request, "new_file.html", place="new", limit_mb=upload_limit_mb(), mistake="", path="")


@router.post("", dependencies=[Depends(same_origin)])
async def take(request: Request, reader: Reader) -> Response:
    """Keep an uploaded file, or take the path of one that is there, and go on to the questions."""
    await run_in_threadpool(_refuse_unless_startable, reader, FILE)
    path = ""
    try:
        # Before the body is read: it would be spooled to disk however long it is.
        refuse_too_long(int(request.headers.get("content-length", 0)))
        async with request.form() as answers:
            path, upload = str(answers.get("path", "")).strip(), answers.get("upload")
            if isinstance(upload, UploadFile) and upload.filename:
                deps = deps_for(reader.get_name())
                path = await run_in_threadpool(save_upload, deps, upload.file, upload.filename)
        if not path:
            raise ConfigError("Neither a file nor a path was given", expected="one of them")
        await run_in_threadpool(_read, FORMS.load(FILE), {FILE: path}, reader.get_name())
    except AimassError as error:
        return _not_readable(request, path, error)
    return RedirectResponse(links_of(request).page("new", FILE, file=path), status_code=303)


@router.get("/{form}")
def ask(request: Request, form: str, reader: Reader) -> Response:
    """Show what the source holds, and ask what is to be done with it."""
    _refuse_unless_startable(reader, form)
    model: Any = FORMS.load(form)
    asked = {name: value for name in _own_fields(model) if (value := request.query_params.get(name))}
    try:
        source, found = _read(model, asked, reader.get_name())
    except AimassError as error:
        return _not_readable(request, asked.get(FILE, ""), error)
    values = {**source, "name": model_name(source.get(FILE, "")), "language": language_of(request)}
    return _questions(request, form, values, found, suggest_roles(found.columns, found.rows_seen), {})


@router.post("/{form}", dependencies=[Depends(same_origin)])
async def start(request: Request, form: str, reader: Reader) -> Response:
    """Check the answers; start the run, or show the form again with what is wrong."""
    await run_in_threadpool(_refuse_unless_startable, reader, form)
    model: Any = FORMS.load(form)
    answers = await request.form()
    values = typed_values(model, {name: [str(one) for one in answers.getlist(name)] for name in answers})
    name = reader.get_name()
    source = {key: values[key] for key in _own_fields(model) if values.get(key) is not None}
    try:
        found = await run_in_threadpool(_look, _source(model, source), name)
    except AimassError as error:
        return _not_readable(request, str(source.get(FILE, "")), error)
    roles = _roles(answers, found)
    values.update(column_values(roles))
    mistakes = await run_in_threadpool(_mistakes, form, values, name)
    if not roles.learned():
        # As a field, an empty list of columns means all of them.
        mistakes = {**mistakes, "columns": ["no column is left to learn from; let the model learn from one at least"]}
    if not mistakes:
        try:
            run_id = await trigger(request, form_dag_id(form), {k: v for k, v in values.items() if v is not None})
        except HTTPException as error:
            mistakes = {"": [str(error.detail)]}
        else:
            return RedirectResponse(links_of(request).page("pipelines", form_dag_id(form), run=run_id), 303)
    return await run_in_threadpool(_questions, request, form, values, found, roles, mistakes)


def _not_readable(request: Request, path: str, error: AimassError) -> HTMLResponse:
    context = {"limit_mb": upload_limit_mb(), "mistake": str(error), "path": path}
    return page(request, "new_file.html", place="new", status=422, **context)


def _questions(
    request: Request,
    form: str,
    values: dict[str, Any],
    found: Preview,
    roles: Roles,
    mistakes: dict[str, list[str]],
) -> HTMLResponse:
    model: Any = FORMS.load(form)
    own = _own_fields(model)
    sections: dict[str, list[Any]] = defaultdict(list)
    readings: list[Any] = []
    for field in form_fields(model, values, mistakes):
        (readings if field.name in own else sections[field.section]).append(field)
    return page(
        request, "new_form.html", place="new", status=422 if mistakes else 200, form=form, values=values, found=found,
        roles=roles, role_names=ROLES, sections=sections, readings=readings, mistakes=mistakes,
    )  # fmt: skip


def _mistakes(form: str, values: dict[str, Any], reader: str) -> dict[str, list[str]]:
    """Return what is wrong, by field; what lies in a field that the page does not show stands under ""."""
    try:
        deps = deps_for(reader)
        found = check_form(form, values, runtime=deps.runtime, allow=AllowList.from_options())
    except AimassError as error:
        return {"": [str(error)]}
    by_field: dict[str, list[str]] = defaultdict(list)
    for mistake in found:
        by_field[mistake.field].append(mistake.text)
    return by_field


def _read(model: Any, own: dict[str, str], reader: str) -> tuple[dict[str, str], Preview]:
    """Return the source's own fields and its first rows; how a text file is spelt is found out where nobody said it.

    Raises
    ------
    AimassError
        It cannot be read, or may not be named.
    """
    if {"encoding", "delimiter"} & own.keys() or "encoding" not in model.model_fields:
        return own, _look(_source(model, own), reader)
    way, found = _fewest_rejects([{**own, "encoding": encoding} for encoding in ENCODINGS], model, reader)
    if len(found.columns) > 1:
        return way, found
    for delimiter in DELIMITERS:
        with contextlib.suppress(AimassError):
            other = _look(_source(model, {**way, "delimiter": delimiter}), reader)
            if len(other.columns) > 1:
                return {**way, "delimiter": delimiter}, other
    return way, found


def _fewest_rejects(ways: list[dict[str, str]], model: Any, reader: str) -> tuple[dict[str, str], Preview]:
    """Return the way to read the source that fits most rows, the first one where several do."""
    read: list[tuple[dict[str, str], Preview]] = []
    first: AimassError | None = None
    for way in ways:
        try:
            read.append((way, _look(_source(model, way), reader)))
        except (NotAllowedError, NotFoundError, TransientError):
            raise
        except AimassError as error:
            first = first or error
            continue
        if not read[-1][1].rejected:
            break
    if not read:
        assert first is not None
        raise first
    return min(read, key=lambda item: item[1].rejected)


def _look(source: dict[str, Any], reader: str) -> Preview:
    """Return the first rows of `source`."""
    return preview(source, runtime=deps_for(reader).runtime, allow=AllowList.from_options())


def _source(model: Any, own: dict[str, Any]) -> dict[str, Any]:
    """Return what the source's own fields mean; the rest of the form is not filled in yet."""
    source: dict[str, Any] = model.model_construct(**own).source()
    return source


def _roles(answers: FormData, found: Preview) -> Roles:
    """Read the table of columns; columns are numbered, for their names may hold anything."""
    names = [column.name for column in found.columns]
    chosen = str(answers.get("target", ""))
    target = names[int(chosen)] if chosen.isdecimal() and int(chosen) < len(names) else None
    of = {name: str(answers.get(f"role.{index}", LEARN)) for index, name in enumerate(names)}
    return Roles(target, {name: role if role in ROLES else LEARN for name, role in of.items()})


def _own_fields(model: type[TrainForm]) -> list[str]:
    """Return the fields that say where the rows come from."""
    return [name for name in model.model_fields if name not in TrainForm.model_fields]


def _refuse_unless_startable(reader: Any, form: str) -> None:
    """Raise 404 where there is no such form or its DAG is not in this Airflow, 403 where the reader may not run it."""
    dag_id = form_dag_id(form)
    if form not in FORMS.names():
        raise HTTPException(404, f"There is no form {form!r}; known: {', '.join(FORMS.names())}")
    dag = DagModel.get_dagmodel(dag_id)
    if dag is None or dag.is_stale:
        raise HTTPException(404, f"The DAG {dag_id} is not in this Airflow. `airflow aimass init` writes its file.")
    if not may_trigger(reader, dag_id):
        raise HTTPException(403, "Forbidden")
