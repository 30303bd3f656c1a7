from __future__ import annotations

import bz2
import gzip
import json
import os
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimass.core.access import ReadRequest
from aimass.core.deps import Deps
from aimass.core.errors import (
    ConfigError,
    CorruptDataError,
    DataError,
    EmptyDataError,
    NotAllowedError,
    NotFoundError,
    SchemaMismatchError,
)
from aimass.core.settings import parse_settings
from aimass.core.sources import blocks
from aimass.core.sources.delimited import SEARCHED_BYTES
from aimass.core.sources.file_access import SourceFile
from aimass.core.sources.files import FilesSettings, FilesSource
from aimass.core.sources.seen_files import SeenFiles

CSV = b"id,name,when,score\n1,a,2020-01-01,1.5\n2,NA,2020-01-02,\n3,c,,2\n"
ROWS = [
    {"id": 1, "name": "a", "when": date(2020, 1, 1), "score": 1.5},
    {"id": 2, "name": None, "when": date(2020, 1, 2), "score": None},
    {"id": 3, "name": "c", "when": None, "score": 2.0},
]


def source(deps: Deps, uri: object, **options: Any) -> FilesSource:
    return FilesSource(parse_settings(FilesSettings, {"uri": str(uri), **options}, where="test"), deps)


def read(deps: Deps, uri: object, **options: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    found = source(deps, uri, **options)
    rows, rejects = [], []
    for batch in found.read(found.position()):
        rows.extend(batch.rows.to_pylist())
        rejects.extend(batch.rejects.to_pylist() if batch.rejects is not None else [])
    return rows, rejects


def zipped(data: bytes, *names: str) -> bytes:
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", CSV),
        ("t.tsv", CSV.replace(b",", b"\t")),
        ("t.csv.gz", gzip.compress(CSV[:30], mtime=0) + gzip.compress(CSV[30:], mtime=0)),
        ("t.csv.zst", zstandard.compress(CSV)),
        ("t.csv.bz2", bz2.compress(CSV)),
        ("t.csv.zip", zipped(CSV, "inner.csv")),
        ("bom.csv", b"\xef\xbb\xbf" + CSV),
        ("windows.CSV", CSV.replace(b"\n", b"\r\n")),
        ("no-last-break.csv", CSV[:-1]),
    ],
)
def test_delimited_text_however_packed(deps: Deps, tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert read(deps, tmp_path / name) == (ROWS, [])


def test_options_of_delimited_text(deps: Deps, tmp_path: Path) -> None:
    path = tmp_path / "x.dat"
    path.write_bytes("1;'ä;ö';-\n2;b;x\n".encode("latin-1"))
    options = {"format": "csv", "delimiter": ";", "quote": "'", "header": False, "encoding": "latin-1"}
    rows, _ = read(deps, path, **options, null_values=["-"], columns=["column_3", "column_2"])
    assert rows == [{"column_3": None, "column_2": "ä;ö"}, {"column_3": "x", "column_2": "b"}]


def test_gbk_text_becomes_unicode_and_bad_bytes_a_reject(deps: Deps, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("名,n\n".encode("gbk") + "雪,1\n".encode("gbk") + b"\xff\xff,2\n" + "雨,3\n".encode("gbk"))
    rows, rejects = read(deps, path, encoding="gbk")
    assert rows == [{"名": "雪", "n": 1}, {"名": "雨", "n": 3}]
    assert [(row["where"], row["reason"]) for row in rejects] == [("x.csv:3", "column 名: not valid text")]


def test_rows_that_do_not_fit_are_kept_aside_with_line_reason_and_text(deps: Deps, tmp_path: Path) -> None:
    lines = [
        "n,s",
        *[f"{i},ok" for i in range(2, 9)],
        "x,bad",
        "1",
        "",
        "1,2,3",
        '5,"two',
        'lines"',
        "y,bad",
        "7,\udcff",
    ]
    path = tmp_path / "r.csv"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    rows, rejects = read(deps, path, types={"n": "integer"})
    assert [row["n"] for row in rows] == [2, 3, 4, 5, 6, 7, 8, 5]
    assert [tuple(row.values()) for row in rejects] == [
        ("r.csv:9", "column n: not int64", "x,bad"),
        ("r.csv:10", "too few fields", "1"),
        ("r.csv:12", "too many fields", "1,2,3"),
        ("r.csv:15", "column n: not int64", "y,bad"),
        ("r.csv:16", "column s: not valid text", "7,\\xff"),
    ]


def test_types_widen_over_the_whole_sample_and_overrides_win(deps: Deps, tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("a,b,c\n" + "1,1,1\n" * 50_000 + "1.5,x,2\n")
    found = source(deps, path, types={"c": "string"})
    schema = found.schema(found.position())
    assert [str(kind) for kind in schema.types] == ["double", "large_string", "large_string"]
    _, rejects = read(deps, path, sample_rows=100, types={"b": "string"})
    assert len(rejects) == 1
    assert rejects[0]["reason"] == "column a: not int64"


def test_json_lines(deps: Deps, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    lines = [
        '{"i": 1, "f": 1, "s": "007", "b": true, "t": "2020-01-01T00:00:00Z", "n": {"a": [1]}, "m": 1}',
        "",
        "nope",
        '{"i": null, "f": 2.5, "m": "x", "late": "é"}',
        "[1]",
        '{"i": "x"}',
    ]
    path.write_text("\n".join(lines))
    rows, rejects = read(deps, path, types={"i": "integer"})
    moment = datetime.fromisoformat("2020-01-01T00:00:00+00:00")
    assert rows == [
        {"i": 1, "f": 1.0, "s": "007", "b": True, "t": moment, "n": '{"a": [1]}', "m": "1", "late": None},
        {"i": None, "f": 2.5, "s": None, "b": None, "t": None, "n": None, "m": "x", "late": "é"},
    ]
    assert [(row["where"], row["reason"]) for row in rejects] == [
        ("x.jsonl:3", "not a JSON object"),
        ("x.jsonl:5", "not a JSON object"),
        ("x.jsonl:6", "column i: not int64"),
    ]


def test_a_json_array_is_refused_with_the_way_out(deps: Deps, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('[{"a": 1}]')
    with pytest.raises(CorruptDataError, match="jq -c"):
        read(deps, tmp_path / "x.json")


@pytest.mark.parametrize("name", ["x.parquet", "x.orc"])
def test_columnar_files_keep_types_and_can_be_overridden(deps: Deps, tmp_path: Path, name: str) -> None:
    moments = pa.array(["2020-01-01", None, "2020-01-03"]).cast(pa.timestamp("ns"))
    table = pa.table({"i": pa.array([1, None, 3], pa.int32()), "s": ["1", "x", "3"], "t": moments})
    write = pq.write_table if name.endswith("parquet") else orc.write_table
    write(table, tmp_path / name)
    rows, rejects = read(deps, tmp_path / name)
    assert rows == table.to_pylist()
    assert not rejects
    rows, rejects = read(deps, tmp_path / name, columns=["s"], types={"s": "integer"})
    assert rows == [{"s": 1}, {"s": 3}]
    assert rejects[0]["reason"] == "column s: not int64"
    assert json.loads(rejects[0]["raw"]) == {"s": "x"}


def test_nested_parquet_columns_are_refused_unless_left_out(deps: Deps, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "l": [[1, 2]]}), tmp_path / "x.parquet")
    with pytest.raises(SchemaMismatchError, match=r"'l'.*nested"):
        read(deps, tmp_path / "x.parquet")
    assert read(deps, tmp_path / "x.parquet", columns=["a"])[0] == [{"a": 1}]


def test_globs_read_files_in_order_and_match_columns_by_name(deps: Deps, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "b.csv").write_text("y,x\n2,b\n")
    (tmp_path / "in" / "a.csv").write_text("x,y\na,1\n")
    (tmp_path / "in" / "deep" / "c.csv").write_text("x,y\nc,z\n")
    rows, _ = read(deps, tmp_path / "in" / "*.csv")
    assert rows == [{"x": "a", "y": 1}, {"x": "b", "y": 2}]
    rows, rejects = read(deps, tmp_path / "in" / "**" / "*.csv", types={"y": "integer"})
    assert len(rows) == 2
    assert rejects[0]["where"] == "deep/c.csv:2"


def test_a_file_without_a_column_of_the_first_is_a_schema_mismatch(deps: Deps, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("alpha,b\n1,2\n")
    (tmp_path / "b.csv").write_text("alhpa,b\n1,2\n")
    with pytest.raises(SchemaMismatchError, match=r"b\.csv") as raised:
        read(deps, tmp_path / "*.csv")
    assert raised.value.details["nearest"] == "alhpa"


@pytest.mark.parametrize(
    ("name", "data", "error", "text"),
    [
        ("a.csv", b"", EmptyDataError, "empty"),
        ("a.csv", b"x,y\n", EmptyDataError, "no rows"),
        ("a.csv", b"x,x\n1,2\n", SchemaMismatchError, "twice"),
        ("a.csv.gz", gzip.compress(CSV * 1000, mtime=0)[:-9], CorruptDataError, "Truncated"),
        ("a.csv.gz", b"no gzip at all", CorruptDataError, "cannot be read"),
        ("a.csv.zst", zstandard.compress(CSV * 1000)[:-3], CorruptDataError, "Truncated"),
        ("a.csv.zip", b"PK nothing", CorruptDataError, "zip"),
        ("a.csv.zip", zipped(CSV, "a", "b"), DataError, "exactly one"),
        ("a.parquet", b"PAR1 broken PAR1", CorruptDataError, "cannot be read"),
        ("a.parquet", b"", EmptyDataError, "empty"),
        ("a.orc", b"ORC", CorruptDataError, "cannot be read"),
        ("a.xlsx", b"x", ConfigError, "json_lines|.csv"),
        ("a.parquet.gz", b"x", ConfigError, "plain"),
        ("a.jsonl", b"nope\nnope\n", EmptyDataError, "JSON object"),
    ],
)
def test_unusable_files_give_one_clear_error(
    deps: Deps, tmp_path: Path, name: str, data: bytes, error: type[Exception], text: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(error, match=text):
        read(deps, tmp_path / name)


def test_missing_files_name_the_nearest(deps: Deps, tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_bytes(CSV)
    with pytest.raises(NotFoundError) as raised:
        read(deps, tmp_path / "flight.csv")
    assert raised.value.details["nearest"] == "flights.csv"
    with pytest.raises(NotFoundError, match=r"No file matches.*flights\.csv"):
        read(deps, tmp_path / "*.parquet")
    with pytest.raises(NotFoundError, match="folder"):
        read(deps, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_denied_says_so(deps: Deps, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "a.csv").chmod(0)
    with pytest.raises(NotAllowedError, match="Permission denied"):
        read(deps, tmp_path / "a.csv")


def test_a_file_that_changed_since_the_run_began_is_refused(deps: Deps, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CSV)
    found = source(deps, path)
    position = found.position()
    path.write_bytes(CSV + b"4,d,,1\n")
    with pytest.raises(DataError, match="changed"):
        list(found.read(position))


def test_every_file_asks_the_access_policy(deps: Deps, tmp_path: Path) -> None:
    class Deny:
        def check(self, request: ReadRequest) -> None:
            raise NotAllowedError(f"{request.resource} is closed")

    (tmp_path / "a.csv").write_bytes(CSV)
    closed = Deps(store=deps.store, runtime=deps.runtime, access=Deny())
    with pytest.raises(NotAllowedError, match=r"a\.csv is closed"):
        read(closed, tmp_path / "a.csv")


def test_large_cells_and_many_columns(deps: Deps, tmp_path: Path) -> None:
    cell = "x" * (10 << 20)
    (tmp_path / "big.csv").write_text(f'a,b\n1,"{cell}"\n2,\n3,"{cell}"\n')
    rows, rejects = read(deps, tmp_path / "big.csv")
    assert [len(row["b"] or "") for row in rows] == [10 << 20, 0, 10 << 20]
    assert not rejects
    wide = pl.DataFrame({f"c{i}": [i, None] for i in range(2_000)})
    wide.write_csv(tmp_path / "wide.csv")
    rows, _ = read(deps, tmp_path / "wide.csv")
    assert rows == wide.to_dicts()


CELL = st.one_of(st.none(), st.text(alphabet='ab,"\n\r ;é雪', min_size=1, max_size=6))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=20), block_bytes=st.integers(1, 50))
def test_what_polars_writes_is_read_back(
    deps: Deps, tmp_path: Path, cells: list[tuple[str | None, str | None]], block_bytes: int
) -> None:
    frame = pl.DataFrame({"k": list(range(len(cells)))}).with_columns(
        pl.Series("a", [a for a, _ in cells], dtype=pl.String), pl.Series("b", [b for _, b in cells], dtype=pl.String)
    )
    path = tmp_path / "p.csv"
    frame.write_csv(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks.blocks, "__kwdefaults__", {**blocks.blocks.__kwdefaults__, "block_bytes": block_bytes})
        rows, rejects = read(deps, path, types={"a": "string", "b": "string"}, null_values=[""])
    assert not rejects
    assert rows == frame.to_dicts()


def numbered(folder: Path, *numbers: int) -> None:
    for number in numbers:
        (folder / f"{number:05d}.csv").write_text(f"n\n{number}\n")


def names(position: Any) -> list[str]:
    return [name for name, *_ in position["files"]]


def test_only_files_that_are_new_since_are_read(deps: Deps, tmp_path: Path) -> None:
    numbered(tmp_path, 1, 3)
    (tmp_path / "_SUCCESS").write_text("")
    found = source(deps, tmp_path / "*.csv")
    first = found.position()
    assert names(first) == ["00001.csv", "00003.csv"]
    assert found.position(first) is None
    numbered(tmp_path, 2)
    (tmp_path / "00009.csv").write_text("")  # not written yet
    second = found.position(json.loads(json.dumps(first)))
    assert names(second) == ["00002.csv"]
    assert [row for batch in found.read(second) for row in batch.rows.to_pylist()] == [{"n": 2}]
    numbered(tmp_path, 9)
    third = found.position(second)
    assert names(third) == ["00009.csv"]
    assert found.position(third) is None


def test_a_changed_file_fails_or_is_read_again(deps: Deps, tmp_path: Path) -> None:
    numbered(tmp_path, 1, 2)
    first = source(deps, tmp_path / "*.csv").position()
    (tmp_path / "00002.csv").write_text("n\n22\n23\n")
    with pytest.raises(DataError, match=r"00002\.csv.*other bytes.*read_again"):
        source(deps, tmp_path / "*.csv").position(first)
    again = source(deps, tmp_path / "*.csv", on_changed_file="read_again")
    second = again.position(first)
    assert names(second) == ["00002.csv"]
    assert again.position(second) is None


def test_a_vanished_file_fails_or_is_forgotten(deps: Deps, tmp_path: Path) -> None:
    numbered(tmp_path, 1, 2)
    first = source(deps, tmp_path / "*.csv").position()
    (tmp_path / "00001.csv").unlink()
    with pytest.raises(DataError, match=r"00001\.csv.*gone.*on_vanished_file"):
        source(deps, tmp_path / "*.csv").position(first)
    accepting = source(deps, tmp_path / "*.csv", on_vanished_file="accept")
    assert accepting.position(first) is None
    numbered(tmp_path, 3)
    assert names(accepting.position(first)) == ["00003.csv"]
    for path in tmp_path.glob("*.csv"):
        path.unlink()
    assert accepting.position(first) is None
    with pytest.raises(NotFoundError):
        source(deps, tmp_path / "*.csv").position(first)


def test_ten_thousand_seen_files_are_remembered_in_few_bytes() -> None:
    files = [
        SourceFile(uri=f"obs://b/in/{n}", name=f"2026/11/part-{n:05d}.parquet", bytes=n + 1, version=f"etag-{n}")
        for n in range(10_000)
    ]
    packed = json.dumps(SeenFiles({}).after(files).pack())
    assert len(packed) < 160_000
    difference = SeenFiles.unpack(json.loads(packed)).compare(
        [*files[1:], files[0].model_copy(update={"version": "x"})]
    )
    assert (difference.new, [file.name for file in difference.changed], difference.gone) == ([], [files[0].name], [])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.integers(0, 8), st.integers(0, 2), max_size=6), min_size=1, max_size=6))
def test_a_chain_of_listings_gives_every_version_once(listings: list[dict[int, int]]) -> None:
    seen, taken = SeenFiles({}), []
    for listing in listings:
        listed = [SourceFile(uri=f"f/{n}", name=str(n), bytes=1, version=str(v)) for n, v in listing.items()]
        difference = seen.compare(listed)
        fresh = difference.new + difference.changed
        taken.extend(fresh)
        seen = SeenFiles.unpack(seen.after(fresh, difference.gone).pack())
        again = seen.compare(listed)
        assert (again.new, again.changed, again.gone) == ([], [], [])
    wanted = 0
    before: dict[int, int] = {}
    for listing in listings:
        wanted += sum(before.get(n) != v for n, v in listing.items())
        before = listing
    assert len(taken) == wanted


def test_partitions_share_the_files_and_the_types_of_the_whole(deps: Deps, tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.csv").write_text("n\n1.5\n" if number == 0 else f"n\n{number}\n")
    found = source(deps, tmp_path / "*.csv")
    position = found.position()
    shares = found.partitions(position, 3)
    assert [name for share in shares for name in names(share)] == names(position)
    assert len(shares) == 3
    for share in shares:
        assert source(deps, tmp_path / "*.csv").schema(json.loads(json.dumps(share))).field("n").type == pa.float64()
    assert len(found.partitions(position, 100)) == 10


def test_rows_of_many_small_files_come_together_and_rejects_keep_their_places(deps: Deps, tmp_path: Path) -> None:
    for number in range(40):
        bad = "x\n" if number % 7 == 3 else "\udcff\n" if number % 7 == 5 else ""
        text = f"n\n{number}\n{bad}{number + 100}\n"
        (tmp_path / f"{number:02d}.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    found = source(deps, tmp_path / "*.csv", types={"n": "integer"})
    batches = list(found.read(found.position()))
    assert len(batches) == 1
    assert batches[0].rows.column("n").to_pylist() == [n for i in range(40) for n in (i, i + 100)]
    wheres = [row["where"] for row in batches[0].rejects.to_pylist()]
    assert wheres == [f"{n:02d}.csv:3" for n in range(40) if n % 7 in (3, 5)]


@pytest.mark.parametrize("text", ["n,s\n0x1F,a\n", "n,s\n1,0x\n0x2,b\n", "n,s\n 7 ,a\n,b\n"])
def test_fields_parsed_to_their_type_are_what_cell_by_cell_gives(deps: Deps, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    rows, rejects = read(deps, tmp_path / "a.csv", types={"n": "integer", "s": "string"})
    wanted = {"n,s\n0x1F,a\n": ([], 1), "n,s\n1,0x\n0x2,b\n": ([1], 1), "n,s\n 7 ,a\n,b\n": ([7, None], 0)}[text]
    assert ([row["n"] for row in rows], len(rejects)) == wanted


SMALL_FILES = [
    b"n,s\n1,a\n2,b\n",
    b"n,s\n3,no break at the end",
    b's,n\n"columns in, another order",4\n',
    b'n,s\n5,"a break\nin quotes"\n6,b\n',
    b"n,s\n\n7,empty lines\n\n\n8,b\n",
    b"n,s\r\n9,a\r\n10,b\r\n",
    b"n,s\n11,a\rn12,b\n",
    b"n,s\n",
    b'n,s\n13,"never closed\n14,b\n',
    b'n,s\n15,a "quote" inside\n16,"closed" late\n',
    b"n,s\n17,a,b\n18\n0x13,code\n",
    b"\xef\xbb\xbfn,s\n20,marked\n",
    b"",
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.sampled_from(SMALL_FILES), min_size=1, max_size=5))
def test_small_files_that_are_parsed_together_give_what_each_gives_alone(
    deps: Deps, tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("small")
    options: dict[str, Any] = {"types": {"n": "integer", "s": "string"}, "columns": ["n", "s"]}
    (folder / "0.csv").write_bytes(SMALL_FILES[0])
    for number, content in enumerate(contents, 1):
        (folder / f"{number}.csv").write_bytes(content)
    paths = sorted(path for path in folder.iterdir() if path.stat().st_size)
    alone = [read(deps, path, **options) for path in paths if path.read_bytes() != b"n,s\n"]
    rows, rejects = read(deps, folder / "*.csv", **options)
    assert rows == [row for found, _ in alone for row in found]
    assert rejects == [row for _, found in alone for row in found]


@pytest.mark.parametrize("rows_before", range(SEARCHED_BYTES // 8 - 2, SEARCHED_BYTES // 8 + 1))
@pytest.mark.parametrize("code", ["0x1F", "0X2a"])
def test_a_code_is_found_wherever_it_stands(deps: Deps, tmp_path: Path, rows_before: int, code: str) -> None:
    for shift in range(8):
        (tmp_path / "a.csv").write_text("n\n" + "1234567\n" * rows_before + "1" * shift + "\n" + f"{code}\n")
        rows, rejects = read(deps, tmp_path / "a.csv", types={"n": "integer"})
        assert len(rows) == rows_before + bool(shift)
        assert [row["raw"] for row in rejects] == [code]
