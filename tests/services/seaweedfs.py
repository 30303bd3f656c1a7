"""A real S3 server (SeaweedFS), the stand-in for OBS; AIMASS_TEST_OBS_URI is used instead where it is set.

That variable is ``https://KEY:SECRET@endpoint``; tests that kill the server or need its certificates are skipped then.
SeaweedFS answers to bucket names before its domain, which no resolver here knows, hence the proxy that leads all names
to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from obstore.store import S3Store

from aimass.core.object_storage.client import open_bucket, open_sdk
from aimass.core.object_storage.connection import ObsConnection
from tests.services.certificates import Certificates, write_certificates
from tests.services.server import free_port, running

WEED = Path(__file__).resolve().parents[2] / ".tools/services/python/bin/weed"
DOMAIN = "obs.test"
ADMIN = ("ADMINKEY", "Admin-Secret-1")
READER = ("READERKEY", "Reader-Secret-2")
STRANGER = ("STRANGERKEY", "Stranger-Secret-3")
IDENTITIES = {
    "identities": [
        {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
        for name, (key, secret), actions in [
            ("admin", ADMIN, ["Admin", "Read", "List", "Tagging", "Write"]),
            ("reader", READER, ["Read", "List"]),
            ("stranger", STRANGER, ["Read:elsewhere", "List:elsewhere"]),
        ]
    ]
}
PORTS = ("s3", "s3_grpc", "https", "master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc")


class NamesProxy:
    """An HTTP proxy that leads every name to one server: tunnels to its port with TLS, plain requests to the other."""

    def __init__(self, *, plain_port: int, tls_port: int) -> None:
        self.asked: list[str] = []
        self._plain_port = plain_port
        self._tls_port = tls_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(65_536)
                if not data:
                    return
                head += data
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            is_tunnel = method == "CONNECT"
            self.asked.append(target)
            port = self._plain_port if target.endswith(":80") or not is_tunnel else self._tls_port
            with socket.create_connection(("127.0.0.1", port)) as server:
                if is_tunnel:
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    server.sendall(head)
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join()


class SeaweedFs:
    """A server that tests write to, kill and start again.

    Parameters
    ----------
    folder : Path
        Where it keeps its data.
    given : str, optional
        ``https://KEY:SECRET@endpoint`` of a store that runs already.
    """

    def __init__(self, folder: Path, given: str | None = None) -> None:
        self.folder = folder
        self.given = urlsplit(given) if given else None
        self.ports = {name: free_port() for name in PORTS}
        others = (f"*.{DOMAIN}", "127.0.0.1", "localhost")
        self.certificates: Certificates = write_certificates(folder / "tls", host=DOMAIN, others=others)
        self.names = NamesProxy(plain_port=self.ports["s3"], tls_port=self.ports["https"])
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "s3.json").write_text(json.dumps(IDENTITIES))
        self._running = contextlib.ExitStack()
        self._process: Any = None

    @property
    def endpoint(self) -> str:
        """Its address, without TLS where it is ours."""
        if self.given:
            return f"{self.given.scheme}://{self.given.netloc.rpartition('@')[2]}"
        return f"http://127.0.0.1:{self.ports['s3']}"

    def start(self) -> None:
        """Start it, or start it again on the same folder and ports."""
        if self.given is None:
            context = running(self._command(), log=self.folder / "weed.log", is_ready=self._is_ready)
            self._process = self._running.enter_context(context)

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        if self._process is None:
            pytest.skip("the store that was given is not ours to kill")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Kill it for good: its own way down takes half a minute."""
        if self._process is not None:
            self.kill()
        self._running.close()
        self.names.close()
        Path(f"/tmp/seaweedfs-s3-{self.ports['s3']}.sock").unlink(missing_ok=True)

    def bucket(self, name: str) -> S3Store:
        """Return a bucket as its owner sees it, made where it is missing."""
        owner = open_sdk(ObsConnection.model_validate(self.connection()))
        assert owner.createBucket(name).status in (200, 409)
        return open_bucket(ObsConnection.model_validate(self.connection()), name)

    def connection(self, keys: tuple[str, str] = ADMIN, **fields: Any) -> dict[str, Any]:
        """Return the document of a connection: path style and without TLS to ours, as OBS wants it to another."""
        if self.given:
            keys = (unquote(self.given.username or ""), unquote(self.given.password or ""))
            base = {"endpoint": self.endpoint, "protocol": "obs", "addressing": "virtual"}
        else:
            base = {"endpoint": self.endpoint, "protocol": "s3", "addressing": "path"}
        return base | {"access_key_id": keys[0], "secret_access_key": keys[1]} | fields

    def virtual(self, keys: tuple[str, str] = ADMIN, **fields: Any) -> dict[str, Any]:
        """Return the document of a connection as OBS wants it: the bucket in the host name, TLS verified."""
        if self.given:
            pytest.skip("the store that was given has other names and certificates")
        return self.connection(keys) | {
            "endpoint": f"https://{DOMAIN}",
            "protocol": "obs",
            "addressing": "virtual",
            "ca_file": str(self.certificates.ca),
            "proxy_url": f"http://127.0.0.1:{self.names.port}",
            **fields,
        }

    def _command(self) -> list[str]:
        ports = self.ports
        return [
            str(WEED),
            "-logtostderr=true",
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-dir={self.folder / 'data'}",
            "-master.volumeSizeLimitMB=64",
            "-master.electionTimeout=1s",
            "-volume.max=100",
            "-volume.preStopSeconds=0",
            "-filer",
            "-s3",
            f"-s3.domainName={DOMAIN}",
            f"-s3.config={self.folder / 's3.json'}",
            f"-s3.port={ports['s3']}",
            f"-s3.port.grpc={ports['s3_grpc']}",
            f"-s3.port.https={ports['https']}",
            f"-s3.cert.file={self.certificates.certificate}",
            f"-s3.key.file={self.certificates.key}",
            f"-master.port={ports['master']}",
            f"-master.port.grpc={ports['master_grpc']}",
            f"-volume.port={ports['volume']}",
            f"-volume.port.grpc={ports['volume_grpc']}",
            f"-filer.port={ports['filer']}",
            f"-filer.port.grpc={ports['filer_grpc']}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.telemetry=false",
        ]

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['master']}/dir/status", timeout=2) as answer:
                centers = json.load(answer)["Topology"].get("DataCenters") or []
            urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=2).close()
        except (urllib.error.URLError, OSError):
            return False
        return any(rack.get("DataNodes") for center in centers for rack in center.get("Racks") or [])


@contextlib.contextmanager
def seaweedfs(folder: Path) -> Iterator[SeaweedFs]:
    """Yield a server that keeps its data below `folder`; skips where SeaweedFS is not installed."""
    given = os.environ.get("AIMASS_TEST_OBS_URI")
    if not given and not WEED.exists():
        pytest.skip("no SeaweedFS here: run `make env-services`")
    print("OBS: the store that was given" if given else "OBS stand-in: SeaweedFS")
    server = SeaweedFs(folder, given)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
