"""The door in this process: `python -m aimass.core` without paying for a new interpreter each time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aimass.core.__main__ import main


@dataclass(frozen=True)
class Answer:
    """What the door said."""

    code: int
    result: dict[str, Any]
    error: str


@dataclass
class Door:
    """Runs stages one after the other over one small store.

    Parameters
    ----------
    folder : Path
        Where configurations and the store lie.
    capture : pytest's capfd
        Reads what the door writes.
    """

    folder: Path
    capture: pytest.CaptureFixture[str]
    tracking_uri: str | None = None
    done: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, stage: str, config: dict[str, Any]) -> Answer:
        """Run one stage; a failure must be one line that starts with ``error:``, and no traceback."""
        path = self.folder / f"{stage}.json"
        path.write_text(json.dumps(config))
        command = [stage, "--config", str(path), "--store", str(self.folder / "store"), "--run-id", "run"]
        tracking = self.tracking_uri or f"sqlite:///{self.folder / 'mlflow.db'}"
        self.capture.readouterr()
        code = main([*command, "--tracking-uri", tracking])
        output, errors = self.capture.readouterr()
        if code == 0:
            self.done[stage] = json.loads(output)
            return Answer(code, self.done[stage], "")
        lines = [line for line in errors.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, errors
        assert "Traceback" not in errors
        assert "defect of AI Mass" not in errors, errors
        assert not output
        return Answer(code, {}, lines[0])

    def through(self, csv: Path, *stages: str, **changes: Any) -> Answer:
        """Run `stages` one after the other over a CSV file until one fails; return the last answer.

        `changes` are laid over the configuration of the stage that they name.
        """
        answer = Answer(0, {}, "")
        for stage in stages:
            answer = self.run(stage, {**self._config(stage, csv), **changes.get(stage, {})})
            if answer.code:
                break
        return answer

    def _config(self, stage: str, csv: Path) -> dict[str, Any]:
        uri = {name: result["uri"] for name, result in self.done.items()}
        split = {"type": "random", "validation": 0.2, "test": 0.2, "seed": 1}
        configs: dict[str, Any] = {
            "ingest": lambda: {"name": "rows", "source": {"type": "files", "uri": csv.as_uri()}},
            "join": lambda: {"tables": {"rows": uri["ingest"]}, "base": "rows", "target": {"name": "target"}},
            "split": lambda: {"dataset": uri["join"], "split": split},
            "explore": lambda: {"dataset": uri["split"]},
            "validate": lambda: {"dataset": uri["split"], "exploration": uri["explore"]},
            "clean": lambda: {"dataset": uri["split"]},
            "featurize": lambda: {"dataset": uri["clean"], "raw": uri["split"]},
            "train": lambda: {"dataset": uri["featurize"], "models": [{"type": "decision_tree", "max_depth": 3}]},
        }
        config: dict[str, Any] = configs[stage]()
        return config
