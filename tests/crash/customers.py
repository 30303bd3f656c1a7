"""The table that the small pipelines learn from, and MLflow's tables beside it."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

ROWS = 600


def write_customers(path: Path, *, rows: int = ROWS, seed: int = 1) -> None:
    """Write a table in which the target can be learned, but not perfectly."""
    draw = random.Random(seed)
    lines = ["age,plan,fee,calls,churned"]
    for _ in range(rows):
        age, plan, calls = draw.randint(18, 90), draw.choice("abc"), draw.randint(0, 9)
        fee = "" if draw.random() < 0.1 else f"{draw.uniform(5, 80):.2f}"
        churned = int(draw.random() < 0.15 + 0.06 * calls + (0.15 if plan == "a" else 0))
        lines.append(f"{age},{plan},{fee},{calls},{churned}")
    path.write_text("\n".join(lines) + "\n")


def create_tracking_database(path: Path) -> None:
    """Let MLflow create its tables, as its server does long before a pipeline runs."""
    code = "import sys, mlflow; mlflow.MlflowClient(sys.argv[1]).search_experiments()"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, f"sqlite:///{path}"], check=True, capture_output=True)
