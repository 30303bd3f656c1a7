"""A real server that is told to end: who sends requests can turn away first, and nobody loses an answer."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.services.folder_registry import FolderRegistry
from tests.services.inference import inference_server

pytestmark = [pytest.mark.integration("serving"), pytest.mark.slow]


def test_a_server_that_is_about_to_end_says_so_and_answers_until_a_second_signal(
    folder_registry: FolderRegistry, tmp_path: Path
) -> None:
    with inference_server(tmp_path, folder_registry, workers=2, drain_delay_s=600) as server:
        process = psutil.Process(server.pid)
        os.kill(server.pid, signal.SIGTERM)
        told = server.wait_for(lambda: answer if (answer := server.http.get("/v2/health/ready")).is_error else None)
        assert told.json() == {"ready": False, "reason": "the server is about to end"}
        assert server.http.get("/v2/health/live").status_code == 200
        assert server.predict().status_code == 200
        assert server.status()["draining"]
        os.kill(server.pid, signal.SIGTERM)
        process.wait(30)
        assert "ended after" in server.log
