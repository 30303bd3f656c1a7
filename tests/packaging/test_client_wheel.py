"""The Python client's wheel: what it holds, and that it works alone, with what it asks for and nothing else."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.packaging.wheel import ROOT, build_client_wheel, make_client_environment

pytestmark = pytest.mark.timeout(900)
CLIENT = ROOT / "clients" / "python"

USE = """
import aimass_client
assert "site-packages" in aimass_client.__file__, aimass_client.__file__
from aimass_client import AsyncClient, Client, ClientError, Connection, UnreachableError
try:
    Client(Connection("http://127.0.0.1:9", attempts=1)).predict("late", [{"a": None}])
except UnreachableError as error:
    print(error)
try:
    Client("http://127.0.0.1:9").infer("late", {"a": [1]}, as_bytes=True)
except ClientError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_client_wheel(tmp_path_factory.mktemp("client-wheel"))


def test_the_wheel_holds_the_package_and_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = {name for name in files.namelist() if ".dist-info/" not in name}
        (licence,) = [name for name in files.namelist() if name.endswith("licenses/LICENSE")]
        assert files.read(licence) == (ROOT / "LICENSE").read_bytes()
    source = CLIENT / "src"
    here = {
        path.relative_to(source).as_posix() for path in source.rglob("*") if path.suffix in (".py", ".pyi", ".typed")
    }
    assert names == here


def test_the_client_works_alone(wheel: Path, tmp_path: Path) -> None:
    told = make_client_environment(tmp_path / "client-env", wheel).run("-c", USE)
    assert "http://127.0.0.1:9 did not answer" in told
    assert "pip install 'aimass-client[numpy]'" in told
