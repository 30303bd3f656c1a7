from __future__ import annotations

import errno
import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core import datasets, parts
from aimass.core.access import ReadRequest
from aimass.core.datasets import DatasetWriter, batches, open_dataset, schema_of
from aimass.core.deps import Deps, Runtime
from aimass.core.errors import CorruptDataError, NotAllowedError, SchemaMismatchError, StorageFullError
from aimass.core.manifest import Manifest, Part, publish_manifest
from aimass.core.storage import Store
from aimass.core.testing.failpoints import FailAt, RecordingFailpoints

ROWS = pl.DataFrame(
    {
        "number": [None if i % 11 == 0 else i for i in range(1_000)],
        "text": [None if i % 7 == 0 else "ä" * (i % 50) for i in range(1_000)],
        "flag": [i % 3 == 0 for i in range(1_000)],
        "nothing": pl.Series([None] * 1_000, dtype=pl.Float64),
    }
)


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups and parts of a few rows, so that a small table has many."""
    for name, value in {"ROWS_PER_GROUP": 64, "ROWS_PER_PART": 300, "BYTES_PER_GROUP": 3_000}.items():
        monkeypatch.setattr(parts, name, value)
    monkeypatch.setattr(datasets, "ROWS_PER_CHECKPOINT", 100)


def _publish(deps: Deps, name: str, *frames: pl.DataFrame, tags: dict[str, dict[str, str]] | None = None) -> str:
    folder = deps.store.folder(name)
    writer = DatasetWriter(deps.store, folder, tags=tags)
    for frame in frames:
        writer.write(frame)
    writer.close()
    publish_manifest(deps.store, folder, _manifest(writer.parts, writer))
    return folder


def _manifest(parts: list[Part], writer: DatasetWriter) -> Manifest:
    return Manifest(
        kind="dataset",
        project="p",
        stage="test",
        key="k",
        code_version=1,
        config={},
        columns=writer.columns,
        parts=parts,
        created_at="now",
    )


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, ROWS.height), max_size=8))
def test_the_same_rows_give_the_same_files_however_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "ROWS_PER_GROUP", 64)
        patch.setattr(parts, "ROWS_PER_PART", 300)
        patch.setattr(parts, "BYTES_PER_GROUP", 3_000)
        edges = [0, *sorted(cuts), ROWS.height]
        pieces = [ROWS.slice(begin, end - begin) for begin, end in itertools.pairwise(edges)]
        store = Store(str(tmp_path_factory.mktemp("store")))
        assert _written(store, "whole", [ROWS]) == _written(store, "cut", pieces)


def _written(store: Store, name: str, pieces: list[pl.DataFrame]) -> list[Part]:
    writer = DatasetWriter(store, store.folder(name))
    for piece in pieces:
        writer.write(piece)
    writer.close()
    return writer.parts


@pytest.mark.usefixtures("small_groups")
def test_rows_come_back_in_order_from_many_parts(deps: Deps) -> None:
    uri = _publish(deps, "d", ROWS, tags={"flag": {"role": "target"}})
    dataset = open_dataset(uri, deps)
    assert len(dataset.manifest.parts) > 2
    assert dataset.read().equals(ROWS)
    assert dataset.manifest.column("flag").tags == {"role": "target"}  # type: ignore[union-attr]
    assert pl.concat(batches(dataset.scan(columns=["text", "number"]), rows=37)).equals(ROWS.select("text", "number"))


@pytest.mark.usefixtures("small_groups")
def test_a_dataset_opens_by_its_path_too(deps: Deps) -> None:
    path = deps.store.local_path(_publish(deps, "d", ROWS))
    assert open_dataset(str(path), deps).read().equals(ROWS)


@pytest.mark.usefixtures("small_groups")
def test_shares_of_the_split_are_read_apart(deps: Deps) -> None:
    folder = deps.store.folder("d")
    writer = DatasetWriter(deps.store, folder)
    for start in range(0, 1_000, 50):
        writer.write(ROWS.slice(start, 25), split="train")
        writer.write(ROWS.slice(start + 25, 25), split="test")
    writer.close()
    publish_manifest(deps.store, folder, _manifest(writer.parts, writer))
    dataset = open_dataset(folder, deps)
    assert dataset.rows("train") == dataset.rows("test") == 500
    assert dataset.read("test")["number"].to_list()[:2] == [25, 26]
    assert dataset.read("train", "test").height == 1_000


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("point", ["part_staged", "part_done"])
@pytest.mark.parametrize("nth", [1, 2, 4])
def test_a_killed_writer_resumes_with_the_same_parts(deps: Deps, point: str, nth: int) -> None:
    def attempt(folder: str, failpoints: FailAt | RecordingFailpoints) -> list[Part]:
        writer = DatasetWriter(deps.store, folder, failpoints=failpoints)
        begin = writer.resume() or 0
        for start in range(int(str(begin)), 1_000, 40):
            writer.write(ROWS.slice(start, 40))
            writer.checkpoint(start + 40)
        writer.close()
        return writer.parts

    folder = deps.store.folder("killed")
    with pytest.raises(KeyboardInterrupt):
        attempt(folder, FailAt(point, nth))
    again = RecordingFailpoints()
    parts = attempt(folder, again)
    clean = RecordingFailpoints()
    assert parts == attempt(deps.store.folder("clean"), clean)
    assert again.names.count("part_staged") == clean.names.count("part_staged") - (
        nth if point == "part_done" else nth - 1
    )


def test_a_part_that_cannot_be_finished_ends_the_writing_and_leaves_nothing_behind(deps: Deps) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "ROWS_PER_CHECKPOINT", 10)
        failing = FailAt("part_staged", 2, OSError(28, "No space left on device"))
        writer = DatasetWriter(deps.store, deps.store.folder("d"), failpoints=failing)
        for position in range(2):
            writer.write(ROWS)
            writer.checkpoint(position)
        with pytest.raises(StorageFullError):
            writer.close()
        writer.abandon()
        again = DatasetWriter(deps.store, deps.store.folder("d"))
        assert again.resume() == 0
    kept = again.parts[0].name
    assert deps.store.list(deps.store.folder("d")) == [kept, f"{kept}.checkpoint.json"]


def test_forget_checkpoints_leaves_only_parts(deps: Deps) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "ROWS_PER_CHECKPOINT", 10)
        writer = DatasetWriter(deps.store, deps.store.folder("d"))
        writer.write(ROWS)
        writer.checkpoint(1)
        writer.close()
        assert len(deps.store.list(deps.store.folder("d"))) == 2
        writer.forget_checkpoints()
    assert deps.store.list(deps.store.folder("d")) == [writer.parts[0].name]


def test_a_batch_with_other_columns_or_types_is_a_schema_mismatch(deps: Deps) -> None:
    writer = DatasetWriter(deps.store, deps.store.folder("d"))
    writer.write(pl.DataFrame({"a": [1]}))
    with pytest.raises(SchemaMismatchError, match="columns"):
        writer.write(pl.DataFrame({"b": [1]}))
    with pytest.raises(SchemaMismatchError, match="types"):
        writer.write(pl.DataFrame({"a": ["x"]}))
    writer.abandon()


def test_an_abandoned_writer_leaves_nothing(deps: Deps) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "ROWS_PER_GROUP", 10)
        writer = DatasetWriter(deps.store, deps.store.folder("d"))
        writer.write(ROWS)
        writer.abandon()
    assert deps.store.list(deps.store.folder("d")) == []


def test_a_declared_schema_stands_without_rows(deps: Deps) -> None:
    writer = DatasetWriter(deps.store, deps.store.folder("d"))
    writer.declare(pa.schema([("a", pa.string())]))
    writer.close()
    assert [(column.name, column.type) for column in writer.columns] == [("a", "string")]


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"日本": ["雪", None, "\u0000\U0001f600"]}),
        pl.DataFrame({f"c{i}": np.arange(3.0) for i in range(2_000)}),
        pl.DataFrame({"big": ["x" * (10 << 20), None, "y" * (10 << 20)]}),
        pl.DataFrame({"n": pl.Series([None, None], dtype=pl.Int64), "s": pl.Series([None, None], dtype=pl.String)}),
        pl.DataFrame({"c": pl.Series(["a", "b"], dtype=pl.Categorical)}),
    ],
    ids=["unicode", "2,000 columns", "10 MB cells", "all null", "categories"],
)
def test_odd_frames_round_trip(deps: Deps, frame: pl.DataFrame) -> None:
    found = open_dataset(_publish(deps, "d", frame), deps).read()
    assert found.equals(frame.with_columns(pl.col(pl.Categorical).cast(pl.String)))


def test_ten_megabyte_cells_end_groups_by_bytes(deps: Deps) -> None:
    import pyarrow.parquet as pq

    cell = "x" * (10 << 20)
    uri = _publish(deps, "d", pl.DataFrame({"big": [cell] * 14}))
    part = open_dataset(uri, deps).manifest.parts[0]
    assert pq.ParquetFile(deps.store.local_path(f"{uri}/{part.name}")).num_row_groups == 2


def test_a_changed_part_is_corrupt(deps: Deps) -> None:
    uri = _publish(deps, "d", ROWS)
    part = open_dataset(uri, deps).manifest.parts[0]
    path = deps.store.local_path(f"{uri}/{part.name}")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(CorruptDataError, match="bytes, as the manifest says"):
        open_dataset(uri, deps).scan()


def test_missing_column_names_the_nearest(deps: Deps) -> None:
    with pytest.raises(SchemaMismatchError) as raised:
        open_dataset(_publish(deps, "d", ROWS), deps).scan(columns=["nubmer"])
    assert raised.value.details["nearest"] == "number"


def test_every_read_asks_the_access_policy(deps: Deps) -> None:
    class Deny:
        def check(self, request: ReadRequest) -> None:
            raise NotAllowedError(f"{request.principal} may not read {request.columns} for {request.purpose}")

    uri = _publish(deps, "d", ROWS)
    closed = Deps(store=deps.store, runtime=deps.runtime, access=Deny(), purpose="train")
    with pytest.raises(NotAllowedError, match=r"'text'.*for train"):
        open_dataset(uri, closed).scan(columns=["text"])


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root mounts a tmpfs")
    folder = tmp_path / "tiny"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no tmpfs here: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_transient_error_that_leaves_nothing(tiny_disk: Path) -> None:
    deps = Deps.from_runtime(Runtime(store=str(tiny_disk / "store")))
    writer = DatasetWriter(deps.store, deps.store.folder("d"))
    noise = np.random.default_rng(0).random(1_000_000)
    with pytest.raises(StorageFullError, match="No space left"):
        writer.write(pl.DataFrame({"x": noise}))
    writer.abandon()
    assert deps.store.list(deps.store.folder("d")) == []
    with pytest.raises(StorageFullError):
        deps.store.publish(deps.store.folder("x"), noise.tobytes())
    assert not deps.store.exists(deps.store.folder("x"))


def test_columns_are_encoded_as_their_first_rows_have_them(deps: Deps) -> None:
    import pyarrow.parquet as pq

    numbers = np.arange(20_000)
    rows = pl.DataFrame(
        {
            "number": numbers,
            "moment": pl.Series(numbers * 1_000_000).cast(pl.Datetime("us")),
            "amount": numbers / 7,
            "text": [f"text {number}" for number in numbers],
            "word": ["north", "south"] * 10_000,
            "code": numbers % 3,
            "empty": pl.Series([None] * 20_000, dtype=pl.String),
        }
    )
    uri = _publish(deps, "d", rows)
    dataset = open_dataset(uri, deps)
    assert dataset.read().equals(rows)
    (part,) = dataset.manifest.parts
    group = pq.ParquetFile(deps.store.local_path(f"{uri}/{part.name}")).metadata.row_group(0)
    found = {group.column(i).path_in_schema: set(group.column(i).encodings) - {"RLE"} for i in range(group.num_columns)}
    packed, dictionary = {"DELTA_BINARY_PACKED"}, {"PLAIN", "RLE_DICTIONARY"}
    assert found == {
        "number": packed,
        "moment": packed,
        "amount": {"PLAIN"},
        "text": {"PLAIN"},
        "word": dictionary,
        "code": dictionary,
        "empty": dictionary,
    }


def test_columns_are_compressed_where_that_pays(deps: Deps) -> None:
    import pyarrow.parquet as pq

    count = 20_000
    rows = pl.DataFrame(
        {
            "noise": np.random.default_rng(0).random(count),
            "cents": np.arange(count) % 500 / 100,
            "text": [f"text {number}" for number in range(count)],
            "a.name": np.random.default_rng(1).integers(0, 1 << 60, count),
        }
    )
    uri = _publish(deps, "d", rows)
    dataset = open_dataset(uri, deps)
    assert dataset.read().equals(rows)
    (part,) = dataset.manifest.parts
    group = pq.ParquetFile(deps.store.local_path(f"{uri}/{part.name}")).metadata.row_group(0)
    found = {group.column(i).path_in_schema: group.column(i).compression for i in range(group.num_columns)}
    assert found == {"noise": "UNCOMPRESSED", "cents": "ZSTD", "text": "ZSTD", "a.name": "UNCOMPRESSED"}


def test_what_goes_wrong_while_a_group_is_encoded_is_raised_and_leaves_nothing(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", refuse)
    writer = DatasetWriter(deps.store, deps.store.folder("d"))
    writer.write(pl.DataFrame({"x": range(10)}))
    with pytest.raises(StorageFullError, match="No space left"):
        writer.close()
    writer.abandon()
    assert deps.store.list(deps.store.folder("d")) == []


def test_columns_of_every_type_are_written_and_read(deps: Deps) -> None:
    kinds = [pa.int8(), pa.uint64(), pa.decimal128(12, 2), pa.time64("us"), pa.duration("us"), pa.date32()]
    kinds += [pa.bool_(), pa.float32(), pa.large_binary(), pa.timestamp("us", "UTC"), pa.list_(pa.int64()), pa.null()]
    schema = pa.schema([(f"c.{number}", kind) for number, kind in enumerate(kinds)])
    writer = DatasetWriter(deps.store, deps.store.folder("d"))
    writer.write(pa.table([pa.nulls(5, kind) for kind in kinds], schema=schema))
    writer.close()
    manifest = publish_manifest(deps.store, deps.store.folder("d"), _manifest(writer.parts, writer))
    assert schema_of(deps.store.folder("d"), manifest, deps.store) == schema
    assert open_dataset(deps.store.folder("d"), deps).read().height == 5
