"""The commands in the guides that ask a server can be pasted: sent as curl sends them, they are answered."""

from __future__ import annotations

import json
import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from aimass.pipelines.load import load_pipeline
from aimass.serving.loaded import LoadedModel
from tests.services.asking import Asked
from tests.services.folder_registry import write_model

ROOT = Path(__file__).resolve().parents[3]
PAGES = ("README.md", "README.zh-CN.md", "docs/serving.md")
BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^curl (?:[^'\n\\]|\\\n|'[^']*')*", re.MULTILINE)
TEXTS = {"carrier", "origin", "dest", "plane_manufacturer", "plane_engine"}
MEASURED = {"temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"}
FORM = "application/x-www-form-urlencoded"
"""What curl says of a body when it is told nothing else."""


class Command(NamedTuple):
    """A request as curl makes it."""

    page: str
    path: str
    headers: dict[str, str]
    body: str


def commands(page: str) -> Iterator[Command]:
    """Yield what the page has a reader type."""
    parser = ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body", default="")
    for block in BLOCK.findall((ROOT / page).read_text()):
        for text in COMMAND.findall(block):
            given = parser.parse_args(shlex.split(text.replace("\\\n", " "))[1:])
            headers = {"Content-Type": FORM} | dict(header.split(": ") for header in given.headers)
            assert given.url.startswith("localhost:8200/")
            yield Command(page, urlsplit(f"http://{given.url}").path, headers, given.body)


def flights_late(folder: Path) -> LoadedModel:
    """Return a model that takes what the model of the demo takes."""
    kinds = {"text": ("string", "string"), "measured": ("double", "float"), "counted": ("int64", "int")}
    columns = []
    for name in load_pipeline(ROOT / "include" / "pipelines" / "flights.yaml").columns or ():
        is_measured = name.removeprefix("weather_") in MEASURED
        type_, kind = kinds["text" if name in TEXTS else "measured" if is_measured else "counted"]
        columns.append({"name": name, "type": type_, "kind": kind})
    write_model(folder, 0.0, columns)
    files = (folder / "model.onnx", folder / "graph.json")
    return LoadedModel.load(*files, name="flights_late", version="1", digest="1" * 64, project="flights")


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    asked = Asked()
    asked.table.put(flights_late(tmp_path))
    asked.control.answers["labels"] = {"accepted": 1}
    yield asked
    asked.close()


def send(asked: Asked, command: Command) -> httpx.Response:
    return asked.post(command.path, content=command.body.encode(), headers=command.headers)


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_ask_a_server_are_answered(asked: Asked, page: str) -> None:
    found = list(commands(page))
    labels = ["/aimass/models/flights_late/labels"] if page == "docs/serving.md" else []
    assert [command.path for command in found] == ["/predict/flights_late", *labels]
    for command in found:
        answer = send(asked, command)
        assert answer.status_code == 200, answer.text
        if command.path.startswith("/predict/"):
            assert list(json.loads(command.body)["rows"][0]) == [
                column.name for column in asked.table.resolve("flights_late").loaded.columns
            ]


def test_a_body_without_its_header_is_told_which_one_to_send(asked: Asked) -> None:
    command = next(commands("README.md"))
    answer = send(asked, command._replace(headers={"Content-Type": FORM}))
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type")
    assert "the header Content-Type: application/json" in answer.json()["error"]
