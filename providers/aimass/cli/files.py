"""What the commands about YAML files share: where the files are, and how it is said whether they are good."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from airflow.sdk import conf

from aimass.cli.console import Exit, complain, say, say_json
from aimass.hooks.options import option


def folder_of(kind: str, chosen: str | None) -> Path:
    """Return the folder of files of a kind (``pipelines``, ``alerts``).

    It is what an option of the command says, else ``[aimass] <kind>_dir``, else that beside Airflow's DAGs.
    """
    named = chosen or option(f"{kind}_dir")
    if named:
        return Path(named).expanduser()
    here = Path("include") / kind
    return here if here.is_dir() else Path(conf.get("core", "dags_folder")).parent / here


def say_verdicts(verdicts: Sequence[tuple[Path, Sequence[tuple[str, str]]]], *, as_json: bool) -> Exit:
    """Say which mistakes (key and text) each file has."""
    if as_json:
        say_json(
            [
                {"file": str(file), "ok": not found, "mistakes": [{"key": key, "text": text} for key, text in found]}
                for file, found in verdicts
            ]
        )
    else:
        for file, found in verdicts:
            say(f"{file}: {'ok' if not found else 'broken'}")
            for key, text in found:
                complain(f"  {key}: {text}" if key else f"  {text}")
    return Exit.FAILED if any(found for _, found in verdicts) else Exit.OK
