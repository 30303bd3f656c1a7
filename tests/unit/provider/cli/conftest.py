from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def airflow(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Run `airflow aimass …` in this process, through Airflow's own parser."""
    from airflow.cli.cli_parser import AirflowHelpFormatter, DefaultHelpParser, _add_command

    from aimass.cli import get_cli_commands

    parser = DefaultHelpParser(prog="airflow", formatter_class=AirflowHelpFormatter)
    commands = parser.add_subparsers(dest="subcommand")
    for command in get_cli_commands():
        _add_command(commands, command)

    def call(*words: str) -> Done:
        capsys.readouterr()
        try:
            args = parser.parse_args(["aimass", *words])
            args.func(args)
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return call
