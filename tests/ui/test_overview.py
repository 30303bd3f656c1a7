"""The overview: what needs the reader, and every pipeline that they may see."""

from __future__ import annotations

from starlette.testclient import TestClient


def test_it_is_refused_to_nobody(nobody: TestClient) -> None:
    assert nobody.get("/aimass/").status_code == 401
