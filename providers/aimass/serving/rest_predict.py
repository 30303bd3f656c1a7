"""``POST /predict/<model>``: rows as JSON objects in, probabilities and class names out.

The body is ``{"rows": [{"<column>": <value>, …}, …]}``; every raw column of the model is there, null where it is
missing. ``?version=``, else ``?alias=`` choose; without them the model's traffic weights do.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from aimass.core.features.row_encoder import Block
from aimass.serving.context import Resolved
from aimass.serving.engine import Answer, Ask, Engine
from aimass.serving.errors import InvalidRowsError, MalformedError, ServingError
from aimass.serving.loaded import LoadedModel
from aimass.serving.rest_request import LATER, Headers, Later, Request, Response

Cell = None | bool | int | float | str
FORM = '{"rows": [{"<column>": <value>, …}, …]}, every value null, true, false, a number or a text'


class PredictBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request."""

    rows: list[dict[str, Cell]]


class Prediction(msgspec.Struct, frozen=True):
    """The answer to one row."""

    probability: float
    """Of class 1."""
    label: str
    """Name of the class."""


class PredictAnswer(msgspec.Struct, frozen=True):
    """The body of an answer."""

    model: str
    version: str
    alias: str
    request_id: str
    predictions: list[Prediction]


class _Rows(msgspec.Struct, frozen=True):
    rows: list[dict[str, msgspec.Raw]]


_CELL_PATH = re.compile(r"\$\.rows\[(\d+)\]\[")
_DECODER = msgspec.json.Decoder(PredictBody)
_ENCODER = msgspec.json.Encoder()


async def predict(engine: Engine, request: Request) -> Response:
    """Answer one request; raises what `Engine.answer` raises, MalformedError and InvalidRowsError."""
    request.check_json()
    choice = request.query("version", "alias")
    rows = read_rows(await request.body())
    ask = ask_of(request, choice.get("version"), choice.get("alias"))

    def block_of(loaded: LoadedModel) -> Block:
        encoder = loaded.encoder
        if len(rows[0]) == len(encoder.columns):
            return encoder.encode(rows)
        return encoder.encode(rows, ignore=engine.context.table.known_columns(request.model))

    return _response(await engine.answer(ask, block_of), request)


def predict_at_once(engine: Engine, request: Request, body: bytes, later: Later | None) -> Response | None:
    """Answer one row where that takes no waiting, or `later` a turn of the loop at most (returns LATER).

    Returns None elsewhere, and for any mistake: `predict` answers then.
    """
    if request.has_query:
        return None
    request.check_json()
    ask = ask_of(request)
    answer = engine.answer_at_once(ask, body)
    if answer is not None:
        return _response(answer, request)
    if later is None:
        return None

    def done(outcome: Answer | Exception) -> None:
        found: Response | Exception
        try:
            found = outcome if isinstance(outcome, Exception) else _response(outcome, request)
        except Exception as error:  # noqa: BLE001 - the others of the batch are not to suffer
            found = error
        later(found)

    return LATER if engine.answer_in_turn(ask, body, done) else None


def ask_of(request: Request, version: str | None = None, alias: str | None = None) -> Ask:
    """Return what the engine is asked for a request."""
    key = request.text(b"x-route-key")
    return Ask(request.model, version, alias, key, request.id, "rest", request.token, request.started)


def _response(answer: Answer, request: Request) -> Response:
    return Response(_ENCODER.encode(document_of(answer, request.id)), headers=headers_of(answer.resolved))


def read_rows(body: bytes) -> list[dict[str, Any]]:
    """Return the rows in `body`.

    Raises
    ------
    MalformedError
        It is not JSON, or has no rows.
    InvalidRowsError
        A value is neither null nor a boolean, number or text.
    """
    try:
        rows = _DECODER.decode(body).rows
        if not rows:
            raise MalformedError("The request holds no rows", expected="one row or more")
        return rows
    except msgspec.ValidationError as error:
        mistake = str(error)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(f"The body is not JSON: {error}", expected=FORM) from None
    at = _CELL_PATH.search(mistake)
    if at is None:
        raise MalformedError(f"The body does not fit: {mistake}", expected=FORM)
    raise _bad_cell(body, int(at[1]), mistake)


def _bad_cell(body: bytes, row: int, mistake: str) -> ServingError:
    """Return the error that names the cell of a row which is no scalar, or a number that is too large."""
    try:
        cells = msgspec.json.decode(body, type=_Rows).rows[row]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        return MalformedError(f"The body is not JSON: {error}", expected=FORM)
    texts = ((name, bytes(raw)[:40]) for name, raw in cells.items())
    name, seen = next(((name, text) for name, text in texts if text.startswith((b"[", b"{"))), ("", b""))
    what = f"column {name[:128]!r} holds {seen.decode(errors='replace')}" if seen else mistake
    return InvalidRowsError(
        f"Row {row}: {what}", expected="null, true, false, a number or a text", column=name, row=row
    )


def document_of(answer: Answer, request_id: str) -> PredictAnswer:
    """Return the answer as a document."""
    loaded = answer.resolved.loaded
    classes = loaded.classes
    predictions = [
        Prediction(probability, classes[label])
        for probability, label in zip(answer.probability.tolist(), answer.label.tolist(), strict=True)
    ]
    return PredictAnswer(loaded.name, loaded.version, answer.resolved.alias, request_id, predictions)


def headers_of(resolved: Resolved) -> Headers:
    """Return the headers that say which version answered."""
    headers = resolved.loaded.headers
    return [*headers, (b"deprecation", b"true")] if resolved.deprecated else headers
