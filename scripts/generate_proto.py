"""Write the Python of open_inference.proto for the server and for the client; run it after the .proto has changed.

The compiler comes from a throw-away environment: its newest versions want protobuf 7, which MLflow cannot have.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "providers/aimass/serving/proto/open_inference.proto"
FOLDERS = (PROTO.parent, ROOT / "clients/python/src/aimass_client/proto")
COMPILER = ("grpcio-tools==1.78.2", "protobuf==6.33.6", "setuptools<81")


def stamp() -> str:
    """Return the line by which a generated file says what it was made of."""
    return f"# sha256 of open_inference.proto: {hashlib.sha256(PROTO.read_bytes()).hexdigest()}\n"


def main() -> None:
    """Generate, and put the result into both packages."""
    packages = [part for package in COMPILER for part in ("--with", package)]
    compiler = ["uv", "run", "--no-project", *packages, "python", "-m", "grpc_tools.protoc"]
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        outputs = [f"--proto_path={PROTO.parent}", f"--python_out={made}", f"--pyi_out={made}", str(PROTO)]
        subprocess.run([*compiler, *outputs], check=True)
        code = made / "open_inference_pb2.py"
        # A pool of its own: another package's copy of the protocol in the same process would clash in the shared one.
        text = code.read_text().replace("_descriptor_pool.Default()", "_descriptor_pool.DescriptorPool()")
        code.write_text(stamp() + text)
        for folder in FOLDERS:
            folder.mkdir(exist_ok=True)
            for file in made.iterdir():
                shutil.copy(file, folder)


if __name__ == "__main__":
    main()
