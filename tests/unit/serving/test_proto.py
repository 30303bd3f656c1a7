from __future__ import annotations

import filecmp

import pytest

from scripts.generate_proto import FOLDERS, stamp


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_the_generated_code_belongs_to_the_proto(folder):
    first_line = (folder / "open_inference_pb2.py").read_text().splitlines(keepends=True)[0]
    assert first_line == stamp(), "open_inference.proto has changed: run scripts/generate_proto.py"


@pytest.mark.parametrize("file", ["open_inference_pb2.py", "open_inference_pb2.pyi"])
def test_server_and_client_have_the_same_code(file):
    assert filecmp.cmp(FOLDERS[0] / file, FOLDERS[1] / file, shallow=False)


def test_both_packages_live_in_one_process():
    from aimass.serving.proto import open_inference_pb2 as server
    from aimass_client.proto import open_inference_pb2 as client

    sent = client.ModelInferRequest(model_name="late", id="r").SerializeToString()
    assert server.ModelInferRequest.FromString(sent).model_name == "late"
