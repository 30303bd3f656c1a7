"""The long-running programs behind the demo: started in sessions of their own, watched, and stopped by identity."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from demo import processes
from demo.errors import DemoError
from demo.home import HOST, REPOSITORY, Home
from demo.processes import Identity

NEEDED = ("mlflow", "api-server", "scheduler", "dag-processor")
# The triggerer is wanted by deferrable tasks, the server once there is a model: they start when they no longer slow
# the rest.
LATE = ("triggerer", "serving")
STORY = "story"
START_TIMEOUT_S = 180.0
LOG_FLUSH_S = 10
TERM_GRACE_S = 5.0
POLL_S = 0.2
TAIL_LINES = 15


@dataclass(frozen=True)
class Service:
    """One program and how to tell that it is ready.

    Attributes
    ----------
    name : str
        What people call it.
    command : list of str
        The program and its arguments.
    is_ready : callable
        Returns True once it serves; must not raise.
    folder : Path or None
        Its working directory; None for Airflow's, where nothing of the repository is imported by accident.
    """

    name: str
    command: list[str]
    is_ready: Callable[[], bool]
    folder: Path | None = None


class Services:
    """All services of one demo folder."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._log_starts: dict[str, int] = {}
        self._children: list[subprocess.Popen[bytes]] = []

    def known(self) -> list[Service]:
        """Return the services in the order in which they are started."""
        ports = self.home.ports()
        mlflow = f"sqlite:///{self.home.mlflow / 'mlflow.db'}"
        artifacts = str(self.home.mlflow / "artifacts")
        server = ["server", "--host", HOST, "--port", str(ports["mlflow"]), "--workers", "1"]
        server += ["--backend-store-uri", mlflow, "--artifacts-destination", artifacts]
        parts = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
        return [
            Service("mlflow", [sys.executable, "-m", "mlflow", *server], self._mlflow_is_ready),
            Service("api-server", [sys.executable, "-m", "airflow", "api-server"], lambda: bool(self._health())),
            *(
                Service(name, [sys.executable, "-m", "airflow", name], functools.partial(self._is_healthy, key))
                for name, key in parts.items()
            ),
            Service("serving", self._serving_command(), self._serving_is_ready),
            Service(STORY, self._story_command(), lambda: True, folder=REPOSITORY),
        ]

    def by_name(self, name: str) -> Service:
        """Return the service called `name`."""
        return next(service for service in self.known() if service.name == name)

    def running(self) -> dict[str, Identity]:
        """Return the services that run now, by name."""
        return {name: identity for name, identity in self._recorded().items() if identity.is_alive}

    def start(self, service: Service) -> None:
        """Start `service` in a session of its own and record who it is."""
        log = self.home.logs / f"{service.name}.log"
        with log.open("ab") as stream:
            self._log_starts[service.name] = stream.tell()
            process = subprocess.Popen(
                service.command, cwd=service.folder or self.home.airflow, env=self.home.environment(),
                stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._children.append(process)
        identity = processes.identify(process.pid)
        if identity is None:
            raise self._died(service.name)
        record = {"pid": identity.pid, "started": identity.started, "boot": identity.boot}
        self._pid_file(service.name).write_text(json.dumps(record))

    def migrate(self) -> None:
        """Bring Airflow's database to the installed version; nothing to do where it has been done."""
        version = metadata.version("apache-airflow-core")
        stamp = self.home.airflow / "database-version"
        if stamp.exists() and stamp.read_text() == version:
            return
        self.airflow("db", "migrate", log="database.log")
        stamp.write_text(version)

    def apply_settings(self, path: Path) -> None:
        """Give Airflow the connections, pools and variables of a settings file, unless it had the same file before.

        So what somebody changed in Airflow's pages since then stays as it is.
        """
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        stamp = self.home.airflow / "settings-digest"
        if stamp.exists() and stamp.read_text() == digest:
            return
        self.airflow("aimass", "settings", "apply", str(path), log="settings.log")
        stamp.write_text(digest)

    def airflow(self, *arguments: str, log: str) -> None:
        """Run an Airflow command to its end; raise DemoError with the last lines of its output where it fails."""
        path = self.home.logs / log
        with path.open("wb") as stream:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", *arguments], cwd=self.home.airflow, env=self.home.environment(),
                stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
        if done.returncode:
            raise DemoError(
                f"`airflow {' '.join(arguments)}` failed (exit status {done.returncode}). "
                f"The last lines of {path}:\n{tail(path)}"
            )

    def wait_until_ready(self, names: set[str], *, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait for the named services; raise DemoError as soon as one of them has died, or when time is up."""
        waiting = {service.name: service for service in self.known() if service.name in names}
        deadline = time.monotonic() + timeout_s
        while waiting:
            self.check_alive(names)
            waiting = {name: service for name, service in waiting.items() if not service.is_ready()}
            if waiting and time.monotonic() > deadline:
                name = next(iter(waiting))
                raise DemoError(
                    f"{name} runs but did not become ready within {timeout_s:.0f} s. "
                    f"The last lines of {self.log(name)}:\n{self._tail(name)}"
                )
            time.sleep(POLL_S if waiting else 0)

    def check_alive(self, names: set[str]) -> None:
        """Raise DemoError with the end of the log of the first named service that has died."""
        self._reap()
        recorded = self._recorded()
        for name in sorted(names):
            if name in recorded and not recorded[name].is_alive:
                raise self._died(name)

    def stop(self) -> list[str]:
        """Stop every process that belongs to the demo; return the names of the services that ran.

        Raises
        ------
        DemoError
            Something survived even SIGKILL; the message names it.
        """
        names = sorted(self.running())
        processes.stop(self._all(), grace_s=TERM_GRACE_S)
        survivors = self._all()
        while survivors and (left := processes.stop(survivors, signal_number=signal.SIGKILL, grace_s=TERM_GRACE_S)):
            raise DemoError(f"These processes could not be stopped: {', '.join(str(each.pid) for each in left)}")
        for child in self._children:
            # One that is on its way out no longer counts as alive, and is not gone yet.
            child.wait(TERM_GRACE_S)
        for path in [*self.home.run.glob("*.pid"), self.home.run / "ports.json"]:
            path.unlink(missing_ok=True)
        return names

    def _reap(self) -> None:
        for child in self._children:
            child.poll()

    def _all(self) -> list[Identity]:
        return list({*processes.of_sessions(self._recorded().values()), *processes.marked(self.home.folder)})

    def _recorded(self) -> dict[str, Identity]:
        found = {}
        for path in sorted(self.home.run.glob("*.pid")):
            record: dict[str, Any] = json.loads(path.read_text())
            found[path.stem] = Identity(**record)
        return found

    def _pid_file(self, name: str) -> Path:
        return self.home.run / f"{name}.pid"

    def log(self, name: str) -> Path:
        """Return the file that a service writes its log to."""
        return self.home.logs / f"{name}.log"

    def _tail(self, name: str) -> str:
        return tail(self.log(name), start=self._log_starts.get(name, 0))

    def _died(self, name: str) -> DemoError:
        return DemoError(f"{name} has died. The last lines of {self.log(name)}:\n{self._tail(name)}")

    def _serving_command(self) -> list[str]:
        options: dict[str, object] = {
            "host": HOST,
            "port": self.home.ports()["serving"],
            "tracking-uri": self.home.mlflow_url,
            # Not as a URI, in which a space would be %20, and another folder than the one that Airflow is told.
            "store": self.home.store,
            "cache-dir": self.home.serving,
            # The story looks at windows of a minute: the log must not lag behind them for another.
            "log-flush-s": LOG_FLUSH_S,
        }
        given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        return [sys.executable, "-m", "aimass.serving", *given]

    def _story_command(self) -> list[str]:
        folders = ["--folder", str(self.home.folder), "--dags", str(self.home.dags)]
        return [sys.executable, "-m", "demo", *folders, "story"]

    def _serving_is_ready(self) -> bool:
        return bool(answer(f"{self.home.serving_url}/v2/health/ready"))

    def _mlflow_is_ready(self) -> bool:
        return answer(f"{self.home.mlflow_url}/health") == b"OK"

    def _health(self) -> dict[str, Any]:
        body = answer(f"{self.home.airflow_url}/api/v2/monitor/health")
        return json.loads(body) if body else {}

    def _is_healthy(self, part: str) -> bool:
        return bool((self._health().get(part) or {}).get("status") == "healthy")


def answer(url: str, *, timeout_s: float = 5.0) -> bytes:
    """Return what `url` answers, or nothing while it does not answer well."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_s) as response:
            body: bytes = response.read()
            return body
    except (OSError, urllib.error.URLError):
        return b""


def tail(path: Path, *, start: int = 0, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log from byte `start` on, indented."""
    with path.open("rb") as stream:
        stream.seek(max(start, os.fstat(stream.fileno()).st_size - 16_384))
        text = stream.read().decode(errors="replace")
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (empty)"
