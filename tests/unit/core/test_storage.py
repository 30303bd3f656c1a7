from __future__ import annotations

import threading
from pathlib import Path

import pytest

from aimass.core.errors import ConfigError, CorruptDataError, NotAllowedError, NotFoundError
from aimass.core.storage import OPTIONS_VARIABLE, Store, as_uri, file_digest, options_of_environment, text_digest


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    root = str(tmp_path / "store") if request.param == "file" else f"memory://{tmp_path.name}"
    return Store(root, spool_dir=str(tmp_path / "spool"))


def test_publish_replaces_and_publish_once_keeps_the_first(store: Store) -> None:
    uri = store.folder("a", "b.json")
    store.publish(uri, b"1")
    store.publish(uri, b"2")
    assert store.read_bytes(uri) == b"2"
    assert not store.publish_once(uri, b"3")
    assert store.read_bytes(uri) == b"2"
    assert store.publish_once(store.folder("a", "c.json"), b"4")
    assert store.list(store.folder("a")) == ["b.json", "c.json"]


def test_publish_once_lets_one_of_many_threads_win(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    uri = store.folder("manifest.json")
    wins: list[bytes] = []
    start = threading.Barrier(8)

    def race(number: int) -> None:
        start.wait()
        if store.publish_once(uri, b"%d" % number):
            wins.append(b"%d" % number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wins == [store.read_bytes(uri)]
    assert store.list(store.root) == ["manifest.json"]


def test_upload_moves_a_file_and_localize_gives_its_bytes(store: Store) -> None:
    uri = store.folder("part.bin")
    staged = store.staging_file(uri, ".bin")
    staged.write_bytes(b"rows")
    digest = file_digest(staged)
    store.upload(staged, uri)
    assert not staged.exists()
    assert store.localize(uri, sha256=digest).read_bytes() == b"rows"


def test_localize_refuses_other_bytes_than_recorded(tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path.name}", spool_dir=str(tmp_path))
    store.publish(store.folder("x"), b"changed")
    with pytest.raises(CorruptDataError, match="digest"):
        store.localize(store.folder("x"), sha256="0" * 64)


def test_missing_things_are_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError):
        store.read_bytes(store.folder("nothing"))
    assert store.list(store.folder("nowhere")) == []
    store.delete(store.folder("nothing"))


def test_read_json_names_the_file_that_is_not_json(store: Store) -> None:
    store.publish(store.folder("x.json"), b"{")
    with pytest.raises(CorruptDataError, match=r"x\.json"):
        store.read_json(store.folder("x.json"))


def test_glob_is_sorted_and_a_plain_name_stands_for_itself(store: Store) -> None:
    for name in ("b.csv", "a.csv", "c.txt"):
        store.publish(store.folder("in", name), b"")
    found = store.glob(store.folder("in", "*.csv"))
    assert [uri.rpartition("/")[2] for uri in found] == ["a.csv", "b.csv"]
    assert store.glob(store.folder("in", "zzz")) == [store.folder("in", "zzz")]


def test_package_uri_names_a_file_without_importing_the_package() -> None:
    assert as_uri("package://pytest/pytest/__init__.py").endswith("/pytest/__init__.py")
    with pytest.raises(NotFoundError, match="__init__"):
        as_uri("package://pytest/pytest/__inti__.py")
    with pytest.raises(NotFoundError, match="pip install no-such-distribution"):
        as_uri("package://no-such-distribution/x")


def test_options_of_the_longest_prefix_win() -> None:
    store = Store("/x", options={"memory://": {"a": 1}, "memory://deep": {"b": 2}})
    assert store.path("memory://deep/file").storage_options == {"b": 2}


def test_options_come_from_the_environment_and_are_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OPTIONS_VARIABLE, raising=False)
    assert options_of_environment() == {}
    monkeypatch.setenv(OPTIONS_VARIABLE, '{"s3://lake": {"secret": "geheim"}}')
    assert options_of_environment() == {"s3://lake": {"secret": "geheim"}}
    for wrong in ('{"s3://lake": "geheim"}', '["geheim"]', "geheim"):
        monkeypatch.setenv(OPTIONS_VARIABLE, wrong)
        with pytest.raises(ConfigError, match=OPTIONS_VARIABLE) as caught:
            options_of_environment()
        assert "geheim" not in str(caught.value)


def test_unwritable_root_is_not_allowed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "closed").mkdir(mode=0o500)
    store = Store(str(tmp_path / "closed"))
    if not _is_root():
        with pytest.raises(NotAllowedError):
            store.publish(store.folder("x"), b"")


def test_text_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert text_digest({"a": 1, "b": [2]}) == text_digest({"b": [2], "a": 1})
    assert text_digest({"a": 1}) != text_digest({"a": "1"})


def _is_root() -> bool:
    import os

    return os.geteuid() == 0
