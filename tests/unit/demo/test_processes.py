from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from demo import processes
from demo.processes import MARKER

# A leader that ignores TERM, with one child in its session and one that moved to a session of its own.
LEADER = """
import os, signal, subprocess, sys, time
nap = [sys.executable, "-c", "import time; time.sleep(600)"]
subprocess.Popen(nap)
subprocess.Popen(nap, start_new_session=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", LEADER], stdout=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, MARKER: str(tmp_path)},
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    yield process
    for identity in processes.marked(tmp_path):
        identity.send(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited 10 s in vain"
        time.sleep(0.02)


def test_a_session_is_found_and_so_is_who_left_it(leader: subprocess.Popen[str], tmp_path: Path) -> None:
    identity = processes.identify(leader.pid)
    assert identity is not None
    session = processes.of_sessions([identity])
    assert identity in session
    # The child in a session of its own is found by its variable only; a child before `exec` shows neither.
    wait_for(lambda: len(processes.of_sessions([identity])) == 2 and len(processes.marked(tmp_path)) == 3)


def test_members_outlive_their_leader_and_are_still_found(leader: subprocess.Popen[str]) -> None:
    identity = processes.identify(leader.pid)
    assert identity is not None
    leader.kill()
    leader.wait()
    assert not identity.is_alive
    assert len(processes.of_sessions([identity])) == 1


def test_stop_says_who_survived_and_kill_leaves_nobody(leader: subprocess.Popen[str], tmp_path: Path) -> None:
    identity = processes.identify(leader.pid)
    assert identity is not None
    wait_for(lambda: len(processes.marked(tmp_path)) == 3)
    survivors = processes.stop(processes.marked(tmp_path), grace_s=0.3)
    assert survivors == [identity]
    assert processes.stop(survivors, signal_number=signal.SIGKILL, grace_s=5) == []
    assert processes.marked(tmp_path) == []


def test_a_process_that_only_waits_to_be_reaped_is_gone(leader: subprocess.Popen[str]) -> None:
    identity = processes.identify(leader.pid)
    assert identity is not None
    leader.kill()
    wait_for(lambda: not identity.is_alive)
    assert Path(f"/proc/{leader.pid}").exists()


def test_a_number_taken_by_another_process_is_left_alone(leader: subprocess.Popen[str]) -> None:
    identity = processes.identify(leader.pid)
    assert identity is not None
    earlier = replace(identity, started=identity.started - 1)
    assert not earlier.is_alive
    assert processes.of_sessions([earlier]) == []
    assert processes.of_sessions([replace(identity, boot="another")]) == []
    earlier.send(signal.SIGKILL)
    assert identity.is_alive
