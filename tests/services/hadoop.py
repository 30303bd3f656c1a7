"""A real Apache Hadoop NameNode and DataNode; the address in AIMASS_TEST_HDFS_URI is used instead where it is set.

Such an address is ``hdfs://host:8020?http=9870``: the NameNode's ports for RPC and for WebHDFS.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest
from hdfs_native import Client, WriteOptions

from tests.services.server import free_port, running

ROOT = Path(__file__).resolve().parents[2]
JARS = ROOT / ".tools/services/hadoop/jars"
PACKAGE = "org.apache.hadoop.hdfs.server"
OPENED = ("java.lang", "java.nio", "sun.nio.ch", "java.io", "java.net", "java.util")
JAVA_OPTIONS = [
    "-Xmx256m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    # The faster start counts here: what the second compiler gains, a test's servers never get back.
    "-XX:TieredStopAtLevel=1",
    "-Djava.net.preferIPv4Stack=true",
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED),
    "--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
]
LOGGING = """
log4j.rootLogger=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
"""


class Program:
    """One of the two Java programs; `kill` it and `start` it again as often as a test likes.

    Parameters
    ----------
    name : str
        Its class below ``org.apache.hadoop.hdfs.server``.
    folder : Path
        Where the folder ``conf`` and the log lie.
    address : str
        What tells over HTTP how it is.
    sign : str
        What is told there once it is ready.
    """

    def __init__(self, name: str, folder: Path, address: str, sign: str) -> None:
        self.folder = folder
        self.pid = 0
        self._name = name
        self._address = address
        self._sign = sign
        self._run: contextlib.ExitStack | None = None

    def start(self) -> None:
        """Start it; return when it is ready."""
        assert self._run is None, f"{self._name} runs already"
        log = self.folder / f"{self._name.rpartition('.')[2].lower()}.log"
        run = contextlib.ExitStack()
        command = java(self.folder, f"{PACKAGE}.{self._name}")
        self.pid = run.enter_context(running(command, log=log, is_ready=self._is_ready)).pid
        self._run = run

    def kill(self) -> None:
        """End it as kill -9 does; nothing happens where it does not run."""
        if self._run is not None:
            os.killpg(self.pid, signal.SIGKILL)
            self._run.close()
            self._run = None

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self._address, timeout=2) as response:
                return self._sign in response.read().decode()
        except (urllib.error.URLError, OSError):
            return False


class Hadoop:
    """A file system that runs.

    Parameters
    ----------
    host : str
        Where both programs listen.
    port, http_port : int
        The NameNode's, for RPC and for WebHDFS.
    name_node, data_node : Program, optional
        The programs; None where somebody else started the server.

    Attributes
    ----------
    client : hdfs_native.Client
        A client that may do everything: as whoever runs the tests.
    """

    def __init__(
        self,
        host: str,
        port: int,
        http_port: int,
        *,
        name_node: Program | None = None,
        data_node: Program | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.http_port = http_port
        self.client = Client(f"hdfs://{host}:{port}")
        self._programs = (name_node, data_node)

    @property
    def name_node(self) -> Program:
        """The program that knows the files' names."""
        return self._own(0)

    @property
    def data_node(self) -> Program:
        """The program that has the files' bytes."""
        return self._own(1)

    def connection(self, protocol: str = "rpc", **more: Any) -> dict[str, Any]:
        """Return the document for the runtime's `connections`."""
        port = self.port if protocol == "rpc" else self.http_port
        return {"host": self.host, "port": port, "protocol": protocol, "user": getpass.getuser(), **more}

    def put(self, path: str, content: bytes) -> None:
        """Write a file, with its folders; an older one is replaced.

        It is written under another name first: nobody sees half of it.
        """
        hidden = f"{path}._COPYING_"
        with self.client.create(hidden, WriteOptions(overwrite=True, create_parent=True)) as file:
            file.write(content)
        self.client.rename(hidden, path, overwrite=True)

    def admin(self, *words: str) -> None:
        """Run ``hdfs dfsadmin``."""
        command = java(self.name_node.folder, "org.apache.hadoop.hdfs.tools.DFSAdmin")
        subprocess.run([*command, *words], check=True, capture_output=True, timeout=60)

    def _own(self, number: int) -> Program:
        program = self._programs[number]
        if program is None:
            pytest.skip("the server of AIMASS_TEST_HDFS_URI is not for this test to stop")
        return program


@contextlib.contextmanager
def hdfs_server(folder: Path) -> Iterator[Hadoop]:
    """Yield a file system that keeps everything in `folder`, which may have been used before."""
    given = os.environ.get("AIMASS_TEST_HDFS_URI")
    if given:
        # hdfs://host:port?http=port
        parts = urlsplit(given)
        yield Hadoop(parts.hostname or "", parts.port or 8020, int(parse_qs(parts.query)["http"][0]))
        return
    if not JARS.is_dir() or not shutil.which("java"):
        pytest.skip("no Hadoop on this machine: run `make env-services`")
    port, http_port, data_http_port = free_port(), free_port(), free_port()
    _configure(folder, port, http_port, data_http_port)
    if not (folder / "name").exists():
        command = java(folder, f"{PACKAGE}.namenode.NameNode")
        subprocess.run([*command, "-format", "-nonInteractive", "-force"], check=True, capture_output=True, timeout=120)
    about = f"http://127.0.0.1:{http_port}/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
    name_node = Program("namenode.NameNode", folder, about, '"FSState" : "Operational"')
    about = f"http://127.0.0.1:{data_http_port}/jmx?qry=Hadoop:service=DataNode,name=DataNodeInfo"
    data_node = Program("datanode.DataNode", folder, about, "RUNNING")
    with contextlib.ExitStack() as stack:
        for program in (name_node, data_node):
            stack.callback(program.kill)
            program.start()
        yield Hadoop("127.0.0.1", port, http_port, name_node=name_node, data_node=data_node)


def java(folder: Path, program: str) -> list[str]:
    """Return the command that runs a class of Hadoop with the settings in `folder`."""
    return ["java", *JAVA_OPTIONS, "-cp", f"{folder}/conf:{JARS}/*", program]


def _configure(folder: Path, port: int, http_port: int, data_http_port: int) -> None:
    # The jars have no web pages; without a folder for them the programs do not start.
    for name in ("hdfs", "datanode", "static"):
        page = folder / "conf/webapps" / name / "WEB-INF/web.xml"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("<web-app></web-app>")
    (folder / "conf/log4j.properties").write_text(LOGGING)
    core = {"fs.defaultFS": f"hdfs://127.0.0.1:{port}", "hadoop.tmp.dir": folder / "tmp"}
    hdfs = {
        "dfs.replication": 1,
        "dfs.namenode.name.dir": folder / "name",
        "dfs.datanode.data.dir": folder / "data",
        "dfs.namenode.http-address": f"127.0.0.1:{http_port}",
        "dfs.datanode.address": f"127.0.0.1:{free_port()}",
        "dfs.datanode.ipc.address": f"127.0.0.1:{free_port()}",
        "dfs.datanode.http.address": f"127.0.0.1:{data_http_port}",
        "dfs.datanode.hostname": "127.0.0.1",
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        "dfs.heartbeat.interval": 1,
        "dfs.namenode.safemode.extension": 0,
        "dfs.namenode.fs-limits.min-block-size": 4096,
        # A file may be closed before the DataNode has told of its last block: a small one takes half a second less.
        "dfs.namenode.file.close.num-committed-allowed": 1,
    }
    for name, properties in {"core": core, "hdfs": hdfs}.items():
        text = "".join(
            f"<property><name>{key}</name><value>{escape(str(value))}</value></property>\n"
            for key, value in properties.items()
        )
        (folder / f"conf/{name}-site.xml").write_text(f"<configuration>\n{text}</configuration>\n")
