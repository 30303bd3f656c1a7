"""The folder in which the demo keeps everything, and the settings that Airflow and MLflow are started with."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from demo import machine
from demo.errors import DemoError
from demo.processes import MARKER

REPOSITORY = Path(__file__).resolve().parent.parent
USER = "admin"
HOST = "127.0.0.1"
# Where each service would listen, had it the choice.
PREFERRED_PORTS = {"airflow": 8080, "mlflow": 5000, "serving": 8200, "task-logs": 8793, "trigger-logs": 8794}


@dataclass(frozen=True)
class Home:
    """The demo's folder.

    Parameters
    ----------
    folder : Path
        Absolute; database, logs, store, MLflow, passwords and pid files lie below it.
    dags : Path
        The folder of DAG files that Airflow reads.
    port_offset : int
        Added to every preferred port, so that several demos may start on one machine at once.
    """

    folder: Path
    dags: Path = REPOSITORY / "dags"
    port_offset: int = 0

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME."""
        return self.folder / "airflow"

    @property
    def logs(self) -> Path:
        """One file per service."""
        return self.folder / "logs"

    @property
    def task_logs(self) -> Path:
        """Airflow's folder of task logs."""
        return self.logs / "tasks"

    @property
    def mlflow(self) -> Path:
        """MLflow's database and artifacts."""
        return self.folder / "mlflow"

    @property
    def store(self) -> Path:
        """Datasets and artifacts of the pipelines."""
        return self.folder / "store"

    @property
    def alerts(self) -> Path:
        """The watch files that Airflow reads: none until a model is served."""
        return self.folder / "alerts"

    @property
    def serving(self) -> Path:
        """The inference server's cache of models."""
        return self.folder / "serving"

    @property
    def run(self) -> Path:
        """Pid files and ports."""
        return self.folder / "run"

    def prepare(self) -> None:
        """Make the folders; only their owner may look inside, for passwords lie here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        folders = (
            self.airflow,
            self.logs,
            self.task_logs,
            self.mlflow / "artifacts",
            self.store,
            self.alerts,
            self.run,
        )
        for path in folders:
            path.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second `make demo`, `up` or `down` out while this one works."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DemoError(
                    f"Another demo command is at work in {self.folder}. Wait until it ends, or stop it first."
                ) from None
            yield

    @cached_property
    def secrets(self) -> Mapping[str, str]:
        """The user's password and the keys that Airflow's processes share; made once."""
        path = self.folder / "secrets.json"
        if not path.exists():
            values = {name: secrets.token_urlsafe(32) for name in ("api_secret", "jwt_secret")}
            # A Fernet key is 32 bytes in URL-safe base64, with its padding.
            values["fernet_key"] = secrets.token_urlsafe(32) + "="
            values["password"] = secrets.token_urlsafe(12)
            _write_private(path, json.dumps(values))
        found: dict[str, str] = json.loads(path.read_text())
        return found

    def ports(self) -> dict[str, int]:
        """Return the ports chosen when the services were started; empty before."""
        with contextlib.suppress(FileNotFoundError):
            found: dict[str, int] = json.loads((self.run / "ports.json").read_text())
            return found
        return {}

    def choose_ports(self) -> list[str]:
        """Choose a free port for each service, keep them, and return a sentence for each that was busy."""
        chosen: dict[str, int] = {}
        sentences = []
        for name, usual in PREFERRED_PORTS.items():
            preferred = usual + self.port_offset
            chosen[name] = machine.free_port(preferred, chosen.values())
            if chosen[name] != preferred:
                why = "refused by browsers" if preferred in machine.REFUSED_BY_BROWSERS else "busy"
                sentences.append(f"port {preferred} is {why}: {name} takes {chosen[name]} instead")
        (self.run / "ports.json").write_text(json.dumps(chosen))
        return sentences

    @property
    def airflow_url(self) -> str:
        """Address of Airflow's pages and REST."""
        return f"http://{HOST}:{self.ports()['airflow']}"

    @property
    def mlflow_url(self) -> str:
        """Address of MLflow."""
        return f"http://{HOST}:{self.ports()['mlflow']}"

    @property
    def serving_url(self) -> str:
        """Address of the inference server."""
        return f"http://{HOST}:{self.ports()['serving']}"

    def write_password(self) -> None:
        """Give the password to Airflow's simple auth manager, which would make up one of its own."""
        _write_private(self.airflow / "passwords.json", json.dumps({USER: self.secrets["password"]}))

    def environment(self) -> dict[str, str]:
        """Return the variables that every service runs with."""
        # Somebody's own Airflow settings are not for this Airflow; what they say to AI Mass is.
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("AIRFLOW") or name.startswith("AIRFLOW__AIMASS__")
        }
        # Without .pyc files each Airflow command pays seconds.
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
        env["PYTHONUNBUFFERED"] = "1"
        env["NO_PROXY"] = env["no_proxy"] = ",".join(filter(None, [env.get("NO_PROXY"), HOST, "localhost"]))
        env[MARKER] = str(self.folder)
        env |= _threads() | self._airflow_settings() | self._mlflow_settings()
        return env

    def _airflow_settings(self) -> dict[str, str]:
        ports, values = self.ports(), self.secrets
        sections: dict[str, dict[str, object]] = {
            "core": {
                "dags_folder": self.dags,
                "plugins_folder": REPOSITORY / "plugins",
                "executor": "LocalExecutor",
                # Each executor process costs about 150 MB whether it works or not.
                "parallelism": 4,
                "load_examples": False,
                "fernet_key": values["fernet_key"],
                "auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
                "simple_auth_manager_users": f"{USER}:admin",
                "simple_auth_manager_passwords_file": self.airflow / "passwords.json",
                "execution_api_server_url": f"{self.airflow_url}/execution/",
                "dags_are_paused_at_creation": False,
                "dagbag_import_timeout": 120,
            },
            "database": {"sql_alchemy_conn": f"sqlite:///{self.airflow / 'airflow.db'}"},
            "api": {"host": HOST, "port": ports["airflow"], "base_url": self.airflow_url, "workers": 1}
            | {"secret_key": values["api_secret"]},
            "api_auth": {"jwt_secret": values["jwt_secret"]},
            # The default of one second is what a short task waits for.
            # And what a killed scheduler has left behind waits five minutes for the next one, by default.
            "scheduler": {"scheduler_idle_sleep_time": 0.1, "orphaned_tasks_check_interval": 30},
            # Read every ten seconds, the DAG files would cost a quarter of a processor for as long as Airflow runs.
            "dag_processor": {"refresh_interval": 10, "min_file_process_interval": 20},
            # A small machine that trains answers late; five seconds, the default, would fail tasks.
            "workers": {"execution_api_timeout": 60},
            "logging": {
                "base_log_folder": self.task_logs,
                "worker_log_server_host": HOST,
                "worker_log_server_port": ports["task-logs"],
                "trigger_log_server_port": ports["trigger-logs"],
            },
            "usage_data_collection": {"enabled": False},
            "aimass": {"store": self.store, "tracking_uri": self.mlflow_url}
            | {"serving_url": self.serving_url, "alerts_dir": self.alerts},
        }
        settings = {
            f"AIRFLOW__{section.upper()}__{key.upper()}": str(value)
            for section, pairs in sections.items()
            for key, value in pairs.items()
        }
        return {"AIRFLOW_HOME": str(self.airflow)} | settings

    def _mlflow_settings(self) -> dict[str, str]:
        return {
            "MLFLOW_TRACKING_URI": self.mlflow_url,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }


def _threads() -> dict[str, str]:
    """Return thread limits that let two tasks share the machine."""
    count = str(max(1, machine.cores() // 2))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {name: os.environ.get(name, count) for name in names}


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
