"""What every source does, by an object store over the wire; and what only such a store can do wrong."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import obstore
import polars as pl
import pyarrow as pa
import pytest

from aimass.core.errors import (
    CorruptDataError,
    DataError,
    EmptyDataError,
    NotAllowedError,
    NotFoundError,
    TransientError,
    UnreachableError,
)
from aimass.core.sources import file_rows
from aimass.core.sources.obs import ObsSource
from aimass.core.stages import ingest
from aimass.core.stages.ingest import IngestConfig
from aimass.core.testing.sources import (
    check_cancel,
    kept,
    peak_buffered_bytes,
)
from tests.integration.file_sources import FRAME, FormatsContract, NewFilesContract, parquet
from tests.integration.obs.conftest import Bucket
from tests.integration.peak_memory import growth_bytes
from tests.services.proxy import proxy
from tests.services.seaweedfs import ADMIN, READER, STRANGER

pytestmark = [pytest.mark.integration("obs"), pytest.mark.xdist_group("obs")]

Read = Callable[[ObsSource], list[dict[str, Any]]]


class TestObsKeepsTheContract(FormatsContract):
    @pytest.fixture
    def place(self, bucket: Bucket) -> Bucket:
        return bucket

    @pytest.fixture(autouse=True)
    def small_gatherings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(file_rows, "GATHER_BYTES", 1_500)


class TestObsTellsWhatIsNew(NewFilesContract):
    @pytest.fixture
    def place(self, bucket: Bucket) -> Bucket:
        return bucket


def test_types_nulls_and_text_survive(bucket: Bucket, rows: Read) -> None:
    table = pa.table(
        {
            "i": pa.array([1, None, -(2**62)], pa.int64()),
            "u": pa.array([0, None, 255], pa.uint8()),
            "f": pa.array([0.1, None, float("inf")], pa.float64()),
            "b": pa.array([True, None, False]),
            "d": pa.array([date(1, 1, 1), None, date(9999, 12, 31)]),
            "t": pa.array(["1970-01-01", None, "2026-11-24T01:02:03.456789"]).cast(pa.timestamp("us")),
            "z": pa.array(["2020-01-01T00:00:00Z", None, "2021-01-01T00:00:00Z"]).cast(pa.timestamp("us", "UTC")),
            "m": pa.array([Decimal("1.50"), None, Decimal("-99999.99")], pa.decimal128(9, 2)),
            "s": pa.array(["", None, "雪 \U0001f600 é\n"]),
            "x": pa.array([b"\x00\xff", None, b""]),
        }
    )
    bucket.put({"types.parquet": parquet(table)})
    assert rows(bucket.source("types.parquet")) == table.to_pylist()


def test_one_row_wide_rows_and_a_huge_cell(bucket: Bucket, rows: Read) -> None:
    wide = {f"column_{i}": [i] for i in range(500)}
    cell = "x" * (16 << 20)
    bucket.put(
        {
            "one.csv": b"n\n1\n",
            "wide.parquet": parquet(pa.table(wide)),
            "huge.csv": f"n,text\n1,{cell}\n2,\n".encode(),
            "雪 é+%&.csv": b"n\n3\n",
        }
    )
    assert rows(bucket.source("one.csv")) == [{"n": 1}]
    assert rows(bucket.source("wide.parquet")) == pa.table(wide).to_pylist()
    assert [len(row["text"] or "") for row in rows(bucket.source("huge.csv"))] == [16 << 20, 0]
    assert rows(bucket.source("雪 é+%&.csv")) == [{"n": 3}]


def test_objects_without_rows_say_so(bucket: Bucket, rows: Read) -> None:
    bucket.put({"empty.csv": b"", "header.csv": b"n\n"})
    with pytest.raises(EmptyDataError):
        rows(bucket.source("empty.csv"))
    with pytest.raises(EmptyDataError):
        rows(bucket.source("header.csv"))


def test_patterns_stop_at_folders_unless_told(bucket: Bucket, rows: Read) -> None:
    bucket.put({f"{key}.csv": f"n\n{n}\n".encode() for n, key in enumerate(["a", "in/a", "in/deep/b", "in-2/a"])})
    bucket.put({"in/_SUCCESS": b"", "in/.part.csv": b"n\n9\n"})
    assert rows(bucket.source("in/*.csv")) == [{"n": 1}]
    assert rows(bucket.source("in/**/*.csv")) == [{"n": 1}, {"n": 2}]
    assert rows(bucket.source("in*/a.csv")) == [{"n": 3}, {"n": 1}]
    assert rows(bucket.source("in/a.csv")) == [{"n": 1}]
    assert rows(bucket.source("?.csv")) == [{"n": 0}]


def test_listings_of_several_pages_are_whole(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    from aimass.core.object_storage import listing
    from aimass.core.object_storage.connection import ObsConnection

    keys = [f"p/{n:03d}" for n in range(25)]
    bucket.put(dict.fromkeys([*keys, "o", "q/1"], b"x"))
    folder = bucket.prefix
    for protocol in ("obs", "s3"):
        connection = ObsConnection.model_validate(bucket.server.connection(protocol=protocol))
        for prefix, wanted in (("p/", keys), ("p/01", keys[10:20]), ("p/024", keys[24:]), ("", ["o", *keys, "q/1"])):
            found = listing.list_objects(connection, bucket.name, folder + prefix, page=4)
            assert [entry.key.removeprefix(folder) for entry in found] == wanted


def test_many_small_objects_come_in_order_and_large_ones_by_ranges(bucket: Bucket, rows: Read) -> None:
    bucket.put({f"{n:03d}.csv": f"n\n{n}\n".encode() for n in range(120)})
    large = pl.DataFrame({"n": range(120, 1_500_000)})
    bucket.put({"500.csv": large.write_csv().encode(), "600.csv": b"n\n-1\n"})
    assert [row["n"] for row in rows(bucket.source("*.csv"))] == [*range(1_500_000), -1]


def test_memory_stays_bounded(bucket: Bucket) -> None:
    frame = pl.DataFrame({"n": range(2_000_000), "s": [f"text {i % 1000}" for i in range(2_000_000)]})
    bucket.put({"large.parquet": parquet(frame, row_group_size=100_000)})
    source = bucket.source("large.parquet")
    assert peak_buffered_bytes(source, source.position()) < 60 << 20


def test_reading_can_be_stopped(bucket: Bucket) -> None:
    bucket.put({f"{n}.csv": b"n\n1\n" for n in range(60)})
    source = bucket.source("*.csv")
    check_cancel(source, source.position())


def test_the_bucket_in_the_host_name_over_verified_tls(bucket: Bucket, rows: Read) -> None:
    bucket.put({"a.csv": b"n\n1\n", "b.csv": b"n\n2\n"})
    seen = len(bucket.server.names.asked)
    assert rows(bucket.source("*.csv", bucket.server.virtual())) == [{"n": 1}, {"n": 2}]
    assert rows(bucket.source("*.csv", bucket.server.virtual(protocol="s3"))) == [{"n": 1}, {"n": 2}]
    plain = {"endpoint": "http://obs.test", "ca_file": None}
    assert rows(bucket.source("a.csv", bucket.server.virtual(**plain))) == [{"n": 1}]
    asked = bucket.server.names.asked[seen:]
    assert {f"{bucket.name}.obs.test:443", f"{bucket.name}.obs.test:80"} <= set(asked)


@pytest.mark.parametrize("protocol", ["obs", "s3"])
def test_a_server_that_cannot_prove_who_it_is_gets_no_request(
    bucket: Bucket, rows: Read, protocol: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.services.certificates import write_certificates

    bucket.put({"a.csv": b"n\n1\n"})
    stranger = write_certificates(tmp_path_factory.mktemp("stranger"))
    for wrong in ({"ca_file": None}, {"ca_file": str(stranger.ca)}, {"endpoint": "https://other.test"}):
        with pytest.raises(NotAllowedError, match=r"certificate.*ca_file"):
            rows(bucket.source("a.csv", bucket.server.virtual(protocol=protocol, retries=0, **wrong)))


def test_an_unverified_client_is_refused(bucket: Bucket) -> None:
    from obs import ObsClient

    from aimass.core.object_storage.client import open_sdk, refuse_unverified
    from aimass.core.object_storage.connection import ObsConnection

    virtual = bucket.server.virtual()
    for verify in (False, True, str(bucket.server.certificates.ca)):
        with pytest.raises(NotAllowedError, match="without verifying"):
            refuse_unverified(ObsClient("AK", "SK", server="https://obs.test", ssl_verify=verify))
    refuse_unverified(open_sdk(ObsConnection.model_validate(virtual)))


@pytest.mark.parametrize("protocol", ["obs", "s3"])
def test_what_is_not_there_is_named_with_what_is(bucket: Bucket, rows: Read, protocol: str) -> None:
    bucket.put({"in/flights.csv": b"n\n1\n", "in/deep/x.csv": b"n\n1\n"})
    connection = bucket.server.connection(protocol=protocol)
    with pytest.raises(NotFoundError) as raised:
        rows(bucket.source("in/flight.csv", connection))
    assert raised.value.details["nearest"] == "flights.csv"
    with pytest.raises(NotFoundError, match="is a folder"):
        rows(bucket.source("in/deep", connection))
    with pytest.raises(NotFoundError, match=r"No file matches.*flights\.csv"):
        rows(bucket.source("in/*.parquet", connection))
    other = replace(bucket, name=bucket.name[:-1])
    with pytest.raises(NotFoundError) as raised:
        rows(other.source("in/flights.csv", connection))
    assert raised.value.details["nearest"] == bucket.name


@pytest.mark.parametrize("protocol", ["obs", "s3"])
def test_wrong_keys_and_missing_rights_are_told_without_the_secret(bucket: Bucket, rows: Read, protocol: str) -> None:
    bucket.put({"a.csv": b"n\n1\n"})
    assert rows(bucket.source("a.csv", bucket.server.connection(READER, protocol=protocol))) == [{"n": 1}]
    for keys, code in [
        ((ADMIN[0], "Not-The-Secret"), "SignatureDoesNotMatch"),
        (("NOBODY", "Not-The-Secret"), "InvalidAccessKeyId"),
        (STRANGER, "AccessDenied"),
    ]:
        with pytest.raises(NotAllowedError, match=code) as raised:
            rows(bucket.source("a.csv", bucket.server.connection(keys, protocol=protocol)))
        assert keys[1] not in str(raised.value)


@pytest.mark.parametrize("protocol", ["obs", "s3"])
def test_nobody_there_is_worth_another_try(bucket: Bucket, rows: Read, protocol: str) -> None:
    for endpoint in ("http://127.0.0.1:1", "http://nowhere.invalid"):
        with pytest.raises(UnreachableError, match="No answer"):
            rows(bucket.source("a.csv", bucket.server.connection(endpoint=endpoint, protocol=protocol, retries=0)))


@pytest.mark.parametrize("protocol", ["obs", "s3"])
def test_a_connection_cut_mid_read_is_transient_and_a_retry_is_clean(bucket: Bucket, protocol: str) -> None:
    # More than what is fetched and parsed ahead of the first batch.
    frame = pl.DataFrame({"n": range(3_000_000), "text": "some text to make it long"})
    bucket.put({"large.csv": frame.write_csv().encode()})
    with proxy("127.0.0.1", bucket.server.ports["s3"]) as between:
        endpoint = f"http://127.0.0.1:{between.port}"
        source = bucket.source(
            "large.csv", bucket.server.connection(endpoint=endpoint, protocol=protocol, retries=0, timeout_s=5)
        )
        position = kept(source.position())
        reading = source.read(position)
        first = next(reading)
        between.go_down()
        with pytest.raises(TransientError):
            list(reading)
        between.come_up()
        rest = [batch.rows for batch in source.read(position, kept(first.resume))]
    assert pa.concat_tables([first.rows, *rest]).column("n").to_pylist() == frame["n"].to_list()


def test_a_killed_server_is_transient_and_a_retry_goes_on(bucket: Bucket) -> None:
    # More than what is fetched and parsed ahead of the first batch.
    frame = pl.DataFrame({"n": range(3_000_000), "text": "some text to make it long"})
    bucket.put({"large.csv": frame.write_csv().encode()})
    source = bucket.source("large.csv", bucket.server.connection(retries=0, timeout_s=5))
    position = kept(source.position())
    reading = source.read(position)
    first = next(reading)
    bucket.server.kill()
    with pytest.raises(TransientError):
        list(reading)
    bucket.server.start()
    rest = [batch.rows for batch in source.read(position, kept(first.resume))]
    assert pa.concat_tables([first.rows, *rest]).column("n").to_pylist() == frame["n"].to_list()


@pytest.mark.parametrize("size", [100, 80_000_000])
def test_an_object_that_changes_is_never_mixed(bucket: Bucket, size: int) -> None:
    text = pl.DataFrame({"n": range(size // 8)}).write_csv().encode()
    bucket.put({"a.csv": text})
    source = bucket.source("a.csv")
    position = source.position()
    reading = source.read(position)
    if size > 100:
        next(reading)
    bucket.put({"a.csv": text.replace(b"1", b"2")})
    with pytest.raises(DataError, match="changed"):
        list(reading)
    obstore.delete(bucket.store, f"{bucket.prefix}a.csv")
    with pytest.raises(DataError, match="changed"):
        list(bucket.source("a.csv").read(position))


def test_a_small_object_is_read_as_it_was_when_its_types_were_guessed(bucket: Bucket) -> None:
    bucket.put({"a.csv": b"n\n1\n"})
    source = bucket.source("a.csv")
    position = source.position()
    source.schema(position)
    bucket.put({"a.csv": b"n\n2\n"})
    assert [row for batch in source.read(position) for row in batch.rows.to_pylist()] == [{"n": 1}]


def test_damaged_bytes_are_one_clear_error(bucket: Bucket, rows: Read) -> None:
    text = FRAME.write_csv().encode()
    bucket.put(
        {
            "footer.parquet": parquet(FRAME)[:-9] + b"\x00" * 5 + b"PAR1",
            "cut.parquet": parquet(FRAME)[:-100],
            "cut.csv.gz": gzip.compress(text * 50)[:-20],
        }
    )
    for name in ("footer.parquet", "cut.parquet", "cut.csv.gz"):
        with pytest.raises(CorruptDataError, match=name):
            rows(bucket.source(name))


def test_text_of_another_encoding_is_a_counted_reject(bucket: Bucket) -> None:
    bucket.put({"a.csv": b"n,s\n1,ok\n2,\xff\xfe\n3,ok\n"})
    source = bucket.source("a.csv")
    batches = list(source.read(source.position()))
    rejected = [row for batch in batches if batch.rejects is not None for row in batch.rejects.to_pylist()]
    assert [(row["where"], row["reason"]) for row in rejected] == [("a.csv:3", "column s: not valid text")]
    assert sum(batch.rows.num_rows for batch in batches) == 2


def test_no_secret_reaches_manifests_or_logs(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    bucket.put({"a.csv": b"n\n1\n2\n"})
    caplog.set_level(logging.DEBUG)
    deps = bucket.deps(bucket.server.virtual())
    source = {"type": "obs", "uri": f"obs://{bucket.name}/{bucket.prefix}a.csv"}
    result = ingest.run(IngestConfig(name="t", source=source), deps)
    assert result.rows == 2
    written = [path.read_bytes() for path in bucket.folder.rglob("*") if path.is_file()]
    for secret in (ADMIN[1], ADMIN[0]):
        assert secret not in caplog.text
        assert not any(secret.encode() in data for data in written)
        assert secret not in repr(deps)


def test_a_dataset_is_handed_over_to_a_bucket_once(bucket: Bucket, rows: Read) -> None:
    from aimass.core.stages import export
    from aimass.core.stages.export import ExportConfig
    from aimass.core.testing.datasets import publish_rows

    deps = bucket.deps(bucket.server.virtual())
    destination = {"type": "obs", "uri": f"obs://{bucket.name}/{bucket.prefix}out"}
    config = ExportConfig(dataset=publish_rows(deps, {"train": FRAME}), destination=destination, format="csv")
    result = export.run(config, deps)
    assert len(rows(bucket.source("out/*.csv"))) == FRAME.height
    assert export.run(config, deps).reused
    obstore.delete(bucket.store, f"{bucket.prefix}out/_SUCCESS")
    assert not export.run(config, deps).reused
    assert sorted(
        file["path"] for page in obstore.list(bucket.store, f"{bucket.prefix}out") for file in page
    ) == sorted(f"{bucket.prefix}out/{name}" for name in ("_SUCCESS", *result.files))
    denied = bucket.deps(bucket.server.connection(READER))
    with pytest.raises(NotAllowedError, match="AccessDenied"):
        export.run(config.model_copy(update={"format": "parquet", "on_existing": "replace"}), denied)


def test_four_times_as_much_takes_no_more_memory(bucket: Bucket) -> None:
    rows = b"%s\n" % (b"x" * 1_000) * 48_000
    bucket.put({"less.csv": b"s\n" + rows, "more.csv": b"s\n" + 4 * rows})
    less, more = ({"type": "obs", "uri": bucket.source(f"{name}.csv").pattern} for name in ("less", "more"))
    grown, read = growth_bytes(bucket.deps(), less, more)
    assert read > 190_000_000
    assert grown < read / 2
