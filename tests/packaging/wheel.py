"""Build the wheel, and make environments that hold it and nothing of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from scripts.bootstrap import provide_openmp

ROOT = Path(__file__).resolve().parents[2]


def build_wheel(folder: Path) -> Path:
    """Build the project's wheel from a copy of its sources and return its path."""
    sources = folder / "sources"
    sources.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "providers", sources / "providers", ignore=ignore)
    # Without isolation: the builder that the lock names, and no look at an index.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(sources)]
    _run(command, "building the wheel")
    (wheel,) = folder.glob("*.whl")
    return wheel


def build_client_wheel(folder: Path) -> Path:
    """Build the Python client's wheel from a copy of its sources and return its path."""
    sources = folder / "sources"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    shutil.copytree(ROOT / "clients" / "python", sources, ignore=ignore)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(sources)]
    _run(command, "building the client's wheel")
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Environment:
    """A fresh virtual environment with the wheel inside."""

    folder: Path

    @property
    def python(self) -> str:
        """The interpreter of the environment."""
        return str(self.folder / "bin" / "python")

    def run(self, *arguments: str, timeout_s: float = 300) -> str:
        """Run the environment's Python away from the checkout and return what it printed."""
        variables = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
        variables["PATH"] = f"{self.folder / 'bin'}{os.pathsep}{variables['PATH']}"
        variables["AIRFLOW_HOME"] = str(self.folder / "airflow-home")
        return _run([self.python, *arguments], arguments[0], cwd=self.folder, env=variables, timeout=timeout_s)


def find_uv() -> str:
    """Return the uv that the bootstrap has found or installed."""
    return _run([sys.executable, str(ROOT / "scripts" / "bootstrap.py"), "uv"], "looking for uv").strip()


def make_environment(folder: Path, wheel: Path, lock: str) -> Environment:
    """Install `requirements/<lock>.txt`, hashes required, and the wheel itself into a new environment."""
    uv = find_uv()
    environment = Environment(folder)
    _run([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder)], "making an environment")
    install = [uv, "pip", "install", "--quiet", "--python", environment.python, "--no-deps"]
    requirements = ROOT / "requirements"
    locked = ["--require-hashes", "--build-constraints", str(requirements / "build.txt")]
    _run([*install, *locked, "--requirements", str(requirements / f"{lock}.txt")], f"installing {lock}.txt")
    _run([*install, str(wheel)], "installing the wheel")
    provide_openmp(environment.python)
    return environment


def make_client_environment(folder: Path, wheel: Path) -> Environment:
    """Install the client's wheel, and what it asks for in the versions that are locked, into a new environment."""
    uv = find_uv()
    environment = Environment(folder)
    _run([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder)], "making an environment")
    locked = ["--constraints", str(ROOT / "requirements" / "test.txt")]
    install = [uv, "pip", "install", "--quiet", "--python", environment.python, *locked, str(wheel)]
    _run(install, "installing the client's wheel")
    return environment


def _run(command: list[str], what: str, timeout: float = 600, **options: object) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)  # type: ignore[call-overload]
    assert result.returncode == 0, f"{what} failed:\n{result.stdout[-1500:]}\n{result.stderr[-3000:]}"
    return str(result.stdout)
