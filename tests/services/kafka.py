"""A real Apache Kafka broker (KRaft, one node); the one at AIMASS_TEST_KAFKA_URI is used instead where that is set."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AclBinding, AdminClient, ConfigResource, NewPartitions, NewTopic

from tests.services.proxy import Proxy
from tests.services.server import free_port, running, until

JARS = Path(__file__).resolve().parents[2] / ".tools/services/kafka/jars"
USER, PASSWORD = "reader", "Reader-Secret-9"
ANSWER_TIMEOUT_S = 20

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{plain},SASL://127.0.0.1:{sasl},PROXIED://127.0.0.1:{proxied},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL://127.0.0.1:{sasl},PROXIED://127.0.0.1:{proxy}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
  user_{user}="{password}";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS
log.dirs={folder}/data
num.partitions=1
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
message.max.bytes=33554432
replica.fetch.max.bytes=33554432
socket.request.max.bytes=67108864
log.retention.ms=-1
log.cleaner.backoff.ms=200
log.retention.check.interval.ms=500
log.initial.task.delay.ms=200
file.delete.delay.ms=100
"""


class Kafka:
    """A broker that tests write to, administrate, kill and start again.

    Parameters
    ----------
    folder : Path
        Where it keeps its data.
    address : str, optional
        A broker that runs already, ``host:port``; it can neither be killed nor cut.
    """

    def __init__(self, folder: Path, address: str | None = None) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("plain", "sasl", "proxied", "controller")}
        self.proxy = Proxy("127.0.0.1", self.ports["proxied"])
        self.address = address or f"127.0.0.1:{self.ports['plain']}"
        self.sasl_address = f"127.0.0.1:{self.ports['sasl']}"
        self.proxied_address = f"127.0.0.1:{self.proxy.port}"
        self._stack = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        # Its answers come only while it lives, so it is kept.
        self._admin: AdminClient | None = None

    def format(self) -> None:
        """Prepare the folder of a new broker."""
        values = {"folder": self.folder, "proxy": self.proxy.port, "user": USER, "password": PASSWORD, **self.ports}
        (self.folder / "server.properties").write_text(PROPERTIES.format(**values))
        scram = f"SCRAM-SHA-256=[name={USER},password={PASSWORD}]"
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        made = _java("kafka.tools.StorageTool", "format", "--standalone", "-t", cluster, "-S", scram)
        subprocess.run([*made, "-c", str(self.folder / "server.properties")], check=True, capture_output=True)

    def start(self) -> None:
        """Start, or start again after `kill`; return when it answers."""
        command = _java("kafka.Kafka", str(self.folder / "server.properties"))
        log = self.folder / "kafka.log"
        self._process = self._stack.enter_context(running(command, log=log, is_ready=self._answers))

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it."""
        self._stack.close()
        self.proxy.close()

    def connection(self, **others: Any) -> dict[str, Any]:
        """Return the document for the runtime's connections."""
        return {"bootstrap_servers": self.address, **others}

    def admin(self) -> AdminClient:
        """Return a client that may do everything."""
        if self._admin is None:
            self._admin = AdminClient(
                {"bootstrap.servers": self.address, "log_level": 0, "reconnect.backoff.max.ms": 200}
            )
        return self._admin

    def create(self, topic: str, partitions: int = 1, **config: str) -> str:
        """Create a topic; dots of its settings are underscores here."""
        settings = {name.replace("_", "."): value for name, value in config.items()}
        made = self.admin().create_topics([NewTopic(topic, partitions, 1, config=settings)])
        _answer(made)
        self._wait_for(topic, partitions)
        return topic

    def add_partitions(self, topic: str, total: int) -> None:
        """Raise the number of partitions."""
        _answer(self.admin().create_partitions([NewPartitions(topic, total)]))
        self._wait_for(topic, total)

    def delete(self, topic: str) -> None:
        """Delete a topic; return when it is gone."""
        _answer(self.admin().delete_topics([topic]))
        until(lambda: topic not in self.admin().list_topics(timeout=ANSWER_TIMEOUT_S).topics)

    def configure(self, topic: str, **config: str) -> None:
        """Change settings of a topic."""
        settings = {name.replace("_", "."): value for name, value in config.items()}
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config=settings)
        _answer(self.admin().alter_configs([resource]))

    def delete_before(self, topic: str, offset: int, partition: int = 0) -> None:
        """Let go of the messages before `offset`, as retention does."""
        _answer(self.admin().delete_records([TopicPartition(topic, partition, offset)]))

    def allow(self, binding: AclBinding) -> None:
        """Add a rule of who may do what."""
        _answer(self.admin().create_acls([binding]))

    def producer(self, **others: Any) -> Producer:
        """Return a producer."""
        settings = {"bootstrap.servers": self.address, "message.max.bytes": 32 << 20, "linger.ms": 5, "log_level": 0}
        return Producer({**settings, **{name.replace("_", "."): value for name, value in others.items()}})

    def write(
        self,
        topic: str,
        values: Sequence[bytes | None],
        *,
        partition: int = 0,
        keys: Sequence[bytes | None] | None = None,
        headers: Mapping[str, bytes] | None = None,
        timestamp_ms: int = 0,
    ) -> None:
        """Write messages to one partition; return when they are kept."""
        producer = self.producer()
        for number, value in enumerate(values):
            key = keys[number] if keys else None
            options: dict[str, Any] = {"partition": partition, "key": key, "headers": dict(headers or {})}
            producer.produce(topic, value=value, timestamp=timestamp_ms, **options)
            producer.poll(0)
        assert producer.flush(60) == 0

    def _answers(self) -> bool:
        try:
            return bool(self.admin().list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    def _wait_for(self, topic: str, partitions: int) -> None:
        def is_there() -> bool:
            found = self.admin().list_topics(topic, timeout=ANSWER_TIMEOUT_S).topics[topic].partitions
            return len(found) == partitions and all(each.leader > 0 for each in found.values())

        until(is_there)


@contextlib.contextmanager
def kafka_server(folder: Path) -> Iterator[Kafka]:
    """Yield a broker that keeps its data in `folder`."""
    given = os.environ.get("AIMASS_TEST_KAFKA_URI")
    if given:
        yield Kafka(folder, given)
        return
    if not JARS.is_dir() or shutil.which("java") is None:
        pytest.skip("no Apache Kafka here: run `make env-services`")
    broker = Kafka(folder)
    broker.format()
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def _java(*arguments: str) -> list[str]:
    # The faster start counts here: what the second compiler gains, a test's broker never gets back.
    options = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
    return ["java", *options, "-cp", f"{JARS}/*", *arguments]


def _answer(futures: Mapping[Any, Any]) -> None:
    for future in futures.values():
        future.result(ANSWER_TIMEOUT_S)
