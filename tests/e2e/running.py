"""A demo of its own folder, driven by its command line as a person drives it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from demo import processes
from demo.home import USER, Home
from demo.rest import Airflow
from demo.services import Services

ROOT = Path(__file__).resolve().parents[2]

SMALL_PIPELINE = """
name: {name}
description: Small enough to be run many times.
sources:
  customers: {{type: files, uri: "{csv}"}}
target: {{name: churned}}
split: {{type: stratified, column: churned, validation: 0.2, test: 0.2, seed: 3}}
train:
  seed: 5
  models:
    - {{type: decision_tree, max_depth: 3}}
    - {{type: lightgbm, n_estimators: 5}}
optimize: {{rounds: 1, trials: 4, workers: 2, seed: 5}}
release: {{name: {name}_model, gate: {{}}}}
"""

ASKED_PIPELINE = """
name: asked
description: Smaller still; a person approves its releases.
sources:
  customers: {{type: files, uri: "{csv}"}}
target: {{name: churned}}
split: {{type: stratified, column: churned, validation: 0.2, test: 0.2, seed: 3}}
train: {{seed: 5, models: [{{type: decision_tree, max_depth: 3}}]}}
approval: {{assigned_users: [admin]}}
release: {{name: asked_model}}
notify: [{{type: apprise, conn_id: chat}}]
"""


@dataclass
class Demo:
    """One demo.

    Parameters
    ----------
    folder : Path
        Its folder.
    pipelines : Path
        The folder of pipeline files that its Airflow reads.
    variables : mapping
        More variables for its services.
    port_offset : int
        Apart from that of any demo that may start at the same moment.
    """

    folder: Path
    pipelines: Path
    variables: dict[str, str] = field(default_factory=dict)
    port_offset: int = 0

    @property
    def home(self) -> Home:
        """Where everything is."""
        return Home(self.folder)

    @property
    def airflow(self) -> Airflow:
        """A logged-in client."""
        return Airflow(self.home.airflow_url, USER, self.home.secrets["password"])

    def call(self, *arguments: str, timeout_s: float = 900) -> subprocess.CompletedProcess[str]:
        """Run ``python -m demo`` with `arguments`."""
        env = {**os.environ, "AIRFLOW__AIMASS__PIPELINES_DIR": str(self.pipelines), **self.variables}
        options = ("--port-offset", str(self.port_offset))
        return subprocess.run(
            [sys.executable, "-m", "demo", "--folder", str(self.folder), *options, *arguments],
            cwd=ROOT, env=env, text=True, capture_output=True, timeout=timeout_s, check=False,
        )  # fmt: skip

    def run(self, pipeline: str, conf: str = "{}") -> subprocess.CompletedProcess[str]:
        """Run a pipeline."""
        return self.call("run", "--no-story", "--pipeline", pipeline, "--conf", conf)

    def leaders(self) -> list[processes.Identity]:
        """Return the services that run now."""
        return list(Services(self.home).running().values())

    def processes(self, leaders: list[processes.Identity]) -> list[processes.Identity]:
        """Return every process that belongs to it: by its variable, and by the sessions of `leaders`."""
        return [*processes.marked(self.folder), *processes.of_sessions(leaders)]


def named(words: str, label: str) -> set[str]:
    """Return the tasks after ``Reused:`` or ``Ran:`` in what the demo says, without what a mapped one worked on."""
    found = re.search(rf"^{label}:\s+(.*)$", words, re.MULTILINE)
    return set(re.sub(r"\[.*?\]", "", found[1]).split(", ")) if found else set()
