"""What can be checked about the images without a container engine."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.architecture.source_tree import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILES = sorted((ROOT / "docker").glob("*Dockerfile"))
# It runs to its end before the others start.
ONE_SHOT = {"airflow-init"}
PINNED = re.compile(r"[\w./-]+:\d+\.\d+[\w.-]*$")

per_service = pytest.mark.parametrize("name", sorted(SERVICES))
per_dockerfile = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)


@per_service
def test_image_is_pinned(name: str) -> None:
    assert PINNED.match(SERVICES[name]["image"])


@per_service
def test_long_service_has_a_health_check(name: str) -> None:
    assert name in ONE_SHOT or {"test", "interval", "retries", "start_period"} <= SERVICES[name]["healthcheck"].keys()


@per_service
def test_service_waits_for_health(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert how["condition"] == expected


@per_service
def test_published_port_stays_on_this_machine(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@per_service
def test_build_file_exists(name: str) -> None:
    build = SERVICES[name].get("build")
    assert build is None or (ROOT / "docker" / build["context"] / build["dockerfile"]).is_file()


def test_no_secret_is_written_down() -> None:
    text = (ROOT / "docker" / "compose.yaml").read_text()
    for line in text.splitlines():
        if re.search(r"(SECRET|PASSWORD|FERNET)\w*:", line) and "PASSWORDS_FILE" not in line:
            assert "${AIMASS_" in line, line


def test_release_of_the_image_is_the_package_version() -> None:
    version = re.search(r'__version__ = "(.+)"', (ROOT / "providers" / "aimass" / "__init__.py").read_text())
    images = {service["image"] for service in SERVICES.values() if service["image"].startswith("aimass-")}
    assert version is not None
    assert images == {f"aimass-{image}:{version.group(1)}" for image in ("airflow", "serve")}


@per_dockerfile
def test_dockerfile_is_pinned_and_installs_the_wheel_from_locks(path: Any) -> None:
    text = path.read_text().replace("\\\n", " ")
    bases = re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE)
    assert bases
    assert all(PINNED.match(base) for base in bases)
    for command in re.findall(r"pip install[^&\n]*", text):
        assert "--require-hashes" in command or ("--no-deps" in command and ".whl" in command), command
    assert "/opt/wheel/*.whl" in text
    assert re.search(r"^USER \d+$", text, flags=re.MULTILINE), "the image runs as root"


@per_dockerfile
def test_dockerfile_copies_what_exists(path: Any) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for arguments in re.findall(r"^COPY (?!--from)(.+)$", path.read_text(), flags=re.MULTILINE):
        for source in arguments.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in allowed, f"{source} is kept out by .dockerignore"
