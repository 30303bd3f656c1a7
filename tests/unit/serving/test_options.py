from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from aimass.core.errors import ConfigError, NotFoundError
from aimass.serving.__main__ import main
from aimass.serving.config import ServeConfig
from aimass.serving.options import add_options, options, read_config


def read(*words: str) -> ServeConfig:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return read_config(parser.parse_args(list(words)))


def test_every_field_is_an_option_with_words_about_it() -> None:
    found = list(options())
    assert [option.field for option in found] == list(ServeConfig.model_fields)
    assert all(option.help for option in found)


def test_what_is_typed_stands_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("port: 9000\nworkers: 3\nmodels: [late]\n")
    config = read("--config", str(file), "--port", "9100", "--pins", "late,early@2")
    assert (config.port, config.workers, config.models, config.pins) == (9100, 3, ("late",), ("late", "early@2"))


def test_a_list_is_written_with_commas_and_may_be_empty() -> None:
    assert read("--prewarm", "").prewarm == ()
    assert read("--prewarm", "late,early").prewarm == ("late", "early")
    assert all("commas" in option.help for option in options() if option.field in ("models", "pins", "prewarm"))


def test_mistakes_are_named(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("prot: 9000\n")
    with pytest.raises(ConfigError, match="did you mean 'port'"):
        read("--config", str(file))
    file.write_text("[]")
    with pytest.raises(ConfigError, match="a mapping of options"):
        read("--config", str(file))
    with pytest.raises(ConfigError, match="workers"):
        read("--workers", "many")
    with pytest.raises(NotFoundError):
        read("--config", str(tmp_path / "none.yaml"))


def test_a_token_is_told_once_and_its_line_fits_the_tokens_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from aimass.serving.security import Tokens

    assert main(["token", "pages", "--models", "late"]) == 0
    line, token = capsys.readouterr()
    (tmp_path / "tokens").write_text(line)
    assert token.strip() not in line
    assert Tokens.read(tmp_path / "tokens").check(f"Bearer {token.strip()}", "late").name == "pages"


def test_wrong_options_are_one_line_and_exit_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workers", "0"]) == 2
    assert capsys.readouterr().err.startswith("aimass: In the options: workers")
