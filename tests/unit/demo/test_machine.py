from __future__ import annotations

import socket
from pathlib import Path

import pytest

from demo import machine
from demo.errors import DemoError


def test_a_small_machine_is_told_everything_at_once(tmp_path: Path) -> None:
    with pytest.raises(DemoError) as caught:
        machine.check(tmp_path, memory_bytes=1_000_000_000, disk_bytes=500_000_000)
    text = str(caught.value)
    assert "1.0 GB are free, 3.5 GB are needed. Close other programs" in text
    assert "0.5 GB are free below" in text
    assert "2.0 GB are needed. Delete something" in text


def test_a_path_that_database_addresses_cannot_hold_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "50% ready?"
    folder.mkdir()
    with pytest.raises(DemoError, match=r"path: .* holds % \?.*--folder"):
        machine.check(folder, memory_bytes=10**11, disk_bytes=10**11)


def test_spaces_and_other_scripts_in_a_path_are_fine(tmp_path: Path) -> None:
    folder = tmp_path / "我的 模型"
    folder.mkdir()
    machine.check(folder, memory_bytes=10**11, disk_bytes=10**11)


def test_memory_of_this_machine_is_a_sensible_number() -> None:
    assert 10**8 < machine.available_memory_bytes() < 10**14


def test_a_busy_port_is_passed_over() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        busy = server.getsockname()[1]
        assert not machine.is_free(busy)
        assert machine.free_port(busy) > busy


def test_a_port_that_browsers_refuse_is_passed_over() -> None:
    assert machine.free_port(10_080) > 10_080


def test_a_port_given_to_another_service_is_passed_over() -> None:
    first = machine.free_port(23_000)
    assert machine.free_port(first, taken=[first]) > first
