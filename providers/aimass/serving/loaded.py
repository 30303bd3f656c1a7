"""One version of a model in memory: its graph, its signature, and what it is asked."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from aimass.core.errors import CorruptDataError
from aimass.core.features.raw import MASK_SUFFIX, RawColumn
from aimass.core.features.row_encoder import Block, RowEncoder
from aimass.core.reserved import NULL_STRING
from aimass.serving.costs import Costs
from aimass.serving.one_row import OneRow, RowReader

if TYPE_CHECKING:
    from aimass.serving.batching import Batcher

OUTPUTS = ["probability", "label"]
WARM_ROWS = (1, 1, 1, 2, 4, 8, 16, 64)
GRAPH_FORMAT = 1

Probabilities = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


@dataclass(eq=False)
class LoadedModel:
    """One version in memory; made by `load`.

    Attributes
    ----------
    name, version, digest : str
        Its address in the registry, and the sha256 of its model.onnx.
    project : str
        The pipeline that releases it.
    session : InferenceSession
        The graph; one run uses as many threads as the server's options say.
    encoder : RowEncoder
        Turns rows into feeds; knows the signature.
    classes : tuple of str
        Names of the classes 0 and 1.
    threshold : float
        From which probability on the label is 1.
    memory_bytes : int
        What it counts in the memory budget.
    requests : int
        Requests answered.
    last_request_at : float
        When it last answered, in seconds since 1970; 0 where it never did.
    in_flight : int
        Rows that it is answering now; a version drains until this is 0.
    costs : Costs
        What runs of each size take, measured by `warm` and by every batch since.
    reader : RowReader
        Reads requests of one row.
    headers : list of (bytes, bytes)
        What every answer over HTTP says of it.
    batcher : Batcher or None
        Makes batches of what it is asked; the engine gives it one with its first request.
    """

    name: str
    version: str
    digest: str
    session: ort.InferenceSession
    encoder: RowEncoder
    classes: tuple[str, ...]
    threshold: float
    project: str = ""
    memory_bytes: int = 0
    requests: int = 0
    last_request_at: float = 0.0
    in_flight: int = 0
    costs: Costs = field(default_factory=Costs)
    batcher: Batcher | None = None

    def __post_init__(self) -> None:
        # What `InferenceSession.run` calls after looking over the names and types of all inputs, which `load` has done
        # for good: with 30 inputs that look takes a sixth of the run of one row.
        self._run: Callable[..., tuple[Probabilities, Labels]] = self.session._sess.run
        self._rows: list[OneRow] = []
        self.reader = RowReader(self.encoder)
        self.headers = [(b"x-model-version", self.version.encode()), (b"x-model-digest", self.digest.encode())]

    @property
    def columns(self) -> Sequence[RawColumn]:
        """The raw columns, in order."""
        return self.encoder.columns

    @classmethod
    def load(
        cls,
        onnx_file: Path,
        graph_file: Path,
        *,
        name: str,
        version: str,
        digest: str,
        project: str = "",
        threads: int = 1,
    ) -> LoadedModel:
        """Return the version whose files these are; not warm yet.

        Raises
        ------
        CorruptDataError
            ONNX Runtime cannot load the graph, the files do not belong together, or the graph was not released by us.
        """
        before = resident_bytes()
        columns = read_columns(graph_file)
        try:
            session = ort.InferenceSession(str(onnx_file), session_options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:
            raise CorruptDataError(
                f"ONNX Runtime {ort.__version__} cannot load version {version} of {name}: {error}",
                hint="Release the model again",
                model=name,
                version=version,
            ) from error
        _check_inputs(session, columns, f"version {version} of {name}")
        metadata = session.get_modelmeta().custom_metadata_map
        size = onnx_file.stat().st_size
        return cls(
            name=name,
            version=version,
            digest=digest,
            project=project,
            session=session,
            encoder=RowEncoder(columns),
            classes=tuple(json.loads(metadata.get("aimass.classes", '["0", "1"]'))),
            threshold=float(metadata.get("aimass.threshold", "0.5")),
            # The allocator hands out freed pages again, so growth alone would count a second version as nothing.
            memory_bytes=max(resident_bytes() - before, 2 * size),
        )

    def run(self, block: Block) -> tuple[Probabilities, Labels]:
        """Return the probabilities of class 1 and the labels, each of shape (n_rows,)."""
        if block.n_rows != 1:
            return self._run(OUTPUTS, self.encoder.feeds(block), None)
        row = self.take_row()
        try:
            row.copy(block)
            return self.run_row(row)
        finally:
            self.give_back(row)

    def run_row(self, row: OneRow) -> tuple[Probabilities, Labels]:
        """Do the same with one row in memory that `take_row` gave."""
        return self._run(OUTPUTS, row.feeds, None)

    def take_row(self) -> OneRow:
        """Return memory of one row, which the caller has alone until it gives it back.

        Feeds of one row are made once and filled anew: 30 views take as long as the rest of encoding. Threads may run
        the model beside the event loop, hence more than one.
        """
        try:
            return self._rows.pop()
        except IndexError:
            return OneRow(self.encoder)

    def give_back(self, row: OneRow) -> None:
        """Take memory of one row back."""
        self._rows.append(row)

    def warm(self) -> None:
        """Run the graph on rows without values, so that no request pays for first allocations; measures `costs`.

        Raises
        ------
        CorruptDataError
            The graph cannot be run.
        """
        for n_rows in WARM_ROWS:
            start = time.perf_counter()
            try:
                self.run(self.empty(n_rows))
            except Exception as error:
                raise CorruptDataError(
                    f"Version {self.version} of {self.name} cannot be run: {error}",
                    hint="Release the model again",
                    model=self.name,
                    version=self.version,
                ) from error
            self.costs.note(n_rows, (time.perf_counter() - start) * 1e3)

    def empty(self, n_rows: int) -> Block:
        """Return rows in which every value is missing."""
        encoder = self.encoder
        return Block(
            np.full((len(encoder.strings), n_rows), NULL_STRING, dtype=object),
            np.full((len(encoder.floats), n_rows), np.nan),
            np.zeros((len(encoder.ints), n_rows), dtype=np.int64),
            np.ones((len(encoder.ints), n_rows), dtype=np.bool_),
        )


def read_columns(graph_file: Path) -> list[RawColumn]:
    """Return the signature that a version's graph.json holds; raises CorruptDataError where it holds none."""
    try:
        document: Any = json.loads(graph_file.read_bytes())
        if document["format_version"] != GRAPH_FORMAT:
            raise ValueError(f"format_version {document['format_version']} is not {GRAPH_FORMAT}")
        return [RawColumn.model_validate(item) for item in document["raw"]]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDataError(
            f"{graph_file.name} holds no signature that this version reads: {error}", hint="Release the model again"
        ) from error


def session_options(threads: int) -> ort.SessionOptions:
    """Return the options of every session: answers are bit-equal whatever the batch where `threads` is 1."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    return options


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def _check_inputs(session: ort.InferenceSession, columns: Sequence[RawColumn], which: str) -> None:
    expected = set()
    for column in columns:
        expected |= {column.name} if column.kind in ("string", "float") else {column.name, column.name + MASK_SUFFIX}
    seen = {tensor.name for tensor in session.get_inputs()}
    outputs = {tensor.name for tensor in session.get_outputs()}
    if seen != expected or not outputs.issuperset(OUTPUTS):
        raise CorruptDataError(
            f"The graph of {which} has inputs or outputs that its graph.json does not explain: "
            f"{sorted(seen ^ expected) or sorted(outputs)}",
            expected=f"inputs by graph.json, outputs {' and '.join(OUTPUTS)}",
            hint="Release the model again",
        )
