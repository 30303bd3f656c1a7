"""Kafka as a source: the messages of topics, partition by partition; offsets live in positions, not in a group."""

from __future__ import annotations

import base64
import binascii
import importlib.util
import itertools
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, DataError, MissingDependencyError
from aimass.core.sources.base import SourceBatch
from aimass.core.sources.kafka import offsets
from aimass.core.sources.kafka.connection import KafkaConnection
from aimass.core.sources.kafka.decoding import Decoder, Layout, RawDecoder
from aimass.core.sources.kafka.messages import Messages, Reader, Span, cut
from aimass.core.sources.kafka.offsets import KafkaPosition
from aimass.core.sources.kafka.settings import KafkaSettings
from aimass.core.storage import text_digest

if TYPE_CHECKING:
    import pyarrow as pa

    from aimass.core.sources.kafka.cluster import Cluster
    from aimass.core.sources.kafka.rows import RowMaker

SAMPLE_BYTES = 16 << 20


class KafkaSource:
    """The messages of topics: topic by topic, partition by partition, in order of their offsets.

    Nothing is subscribed to and nothing is committed, so no group's rebalance can move the reader.
    """

    Settings: ClassVar[type[settings.Settings]] = KafkaSettings
    consistent: ClassVar[bool] = True

    def __init__(self, settings: KafkaSettings, deps: Deps) -> None:
        self.settings = settings
        self._deps = deps

    def position(self, since: Any = None) -> Any:
        """Return the offsets that can be read now, or those after `since`; None where nothing is new.

        Raises
        ------
        NotFoundError
            There is no such topic; the nearest is named.
        DataError
            A topic holds less than before: it was deleted and made anew.
        """
        earlier = KafkaPosition.model_validate(since) if since else None
        with self._cluster() as cluster:
            found, begins = offsets.take(self.settings, cluster, earlier)
        if found is None:
            return None
        update: dict[str, Any] = {}
        if self._infers:
            update["columns"] = self._inferred(found, earlier, begins)
        if self._schema_bytes:
            update["value_schema"] = text_digest(self._schema_bytes.hex())[:16]
        return found.model_copy(update=update).model_dump(mode="json", exclude_none=True)

    def schema(self, position: Any) -> pa.Schema:
        """Return the columns; raises EmptyDataError where nothing tells them, ConfigError for a bad schema."""
        return self._maker(KafkaPosition.model_validate(position)).schema

    def read(self, position: Any, resume: Any = None) -> Iterator[SourceBatch]:
        """Yield the rows of `position` in batches of about 8 MiB of values."""
        wanted = KafkaPosition.model_validate(position)
        maker = self._maker(wanted)
        first, offset = (resume["span"], resume["offset"]) if resume else (0, None)
        spans = list(enumerate(wanted.spans()))[first:]
        if offset is not None:
            spans[0] = (first, spans[0][1]._replace(start=offset))
        spans = [(index, span) for index, span in spans if span.start < span.end]
        if not spans:
            return
        begins = self._begins(wanted, [span for _, span in spans])
        with closing(self._reader()) as reader:
            for index, span in spans:
                begin = begins[span.topic, span.partition]
                if begin > span.start:
                    batch = self._lost(maker, span, begin)
                    yield SourceBatch(batch.rows, {"span": index, "offset": batch.resume}, batch.rejects)
                    span = span._replace(start=min(begin, span.end))
                yield from self._batches(reader, maker, index, span)

    def estimate(self, position: Any) -> int:
        """Return the number of offsets: as many rows, or fewer where there are gaps."""
        return KafkaPosition.model_validate(position).size()

    def partitions(self, position: Any, count: int) -> list[Any]:
        """Cut a position into at most `count` with about the same number of offsets."""
        pieces = offsets.split(KafkaPosition.model_validate(position), count)
        return [piece.model_dump(mode="json", exclude_none=True) for piece in pieces]

    @property
    def _connection(self) -> KafkaConnection:
        return self._deps.connection(self.settings.conn_id, KafkaConnection)

    @property
    def _infers(self) -> bool:
        wanted = self.settings
        return wanted.format == "json" and not (wanted.columns and set(wanted.columns) <= set(wanted.types))

    @property
    def _schema_bytes(self) -> bytes:
        """The schema that the settings give for the values: Avro's JSON or a FileDescriptorSet."""
        wanted = self.settings
        if wanted.value_schema_file:
            self._deps.check_read(wanted.value_schema_file)
            return self._deps.store.read_bytes(wanted.value_schema_file)
        if not wanted.value_schema or wanted.format == "avro":
            return (wanted.value_schema or "").encode()
        try:
            return base64.b64decode(wanted.value_schema, validate=True)
        except binascii.Error as error:
            raise ConfigError(
                f"`value_schema` is not base64: {error}", expected="a FileDescriptorSet in base64"
            ) from None

    def _cluster(self) -> Cluster:
        from aimass.core.sources.kafka.cluster import Cluster

        return Cluster(self._connection)

    def _reader(self) -> Reader:
        options: dict[str, Any] = {
            "isolation": self.settings.isolation,
            "extras": frozenset(self.settings.extras) - {"topic", "partition", "offset"},
        }
        engine, has_confluent = self.settings.engine, importlib.util.find_spec("confluent_kafka") is not None
        if engine == "confluent" and not has_confluent:
            raise MissingDependencyError("confluent-kafka", extra="kafka")
        if engine != "kafka-python" and has_confluent:
            from aimass.core.sources.kafka.confluent_reader import opened

            return opened(self._connection, **options)
        from aimass.core.sources.kafka.python_reader import PythonReader

        return PythonReader(self._connection, **options)

    def _batches(self, reader: Reader, maker: RowMaker, index: int, span: Span) -> Iterator[SourceBatch]:
        with closing(cut(self._pieces(reader, span))) as batches:
            for messages in batches:
                yield maker.batch(messages, span, {"span": index, "offset": messages.offsets[-1] + 1})

    def _pieces(self, reader: Reader, span: Span) -> Iterator[Messages]:
        self._deps.check_read(f"kafka://{self._connection.bootstrap_servers}/{span.topic}")
        yield from reader.read(span)

    def _begins(self, position: KafkaPosition, spans: list[Span]) -> dict[tuple[str, int], int]:
        """Return where the partitions begin now; raises DataError when a topic is another one than it was."""
        with self._cluster() as cluster:
            for topic in cluster.topics(list(dict.fromkeys(span.topic for span in spans))):
                if topic.id != position.topics[topic.name].id:
                    raise offsets.recreated(topic.name)
            begins = cluster.begins(_partitions(position.restricted(spans)))
            return {(topic, number): offset for (topic, number), offset in begins.items()}

    def _lost(self, maker: RowMaker, span: Span, begin: int) -> SourceBatch:
        from aimass.core.sources.kafka.failures import lost

        if self.settings.on_lost == "error":
            raise lost(span.where, span.start, begin)
        return maker.lost(span, begin)

    def _maker(self, position: KafkaPosition) -> RowMaker:
        from aimass.core.sources.kafka.rows import RowMaker

        return RowMaker(self.settings, self._decoder(position))

    def _decoder(self, position: KafkaPosition) -> Decoder:
        wanted = self.settings
        if wanted.format == "json":
            from aimass.core.sources.kafka.json_values import decoder_of

            where = ", ".join(position.topics)
            return decoder_of(position.columns or {}, where=where, columns=wanted.columns, types=wanted.types)
        if wanted.format == "raw":
            import pyarrow as pa

            return RawDecoder(pa.large_binary() if wanted.raw_type == "binary" else pa.large_string())
        given = self._schema_bytes
        if position.value_schema != text_digest(given.hex())[:16]:
            raise DataError(
                "The schema of the values changed since this read began",
                hint="Start a new run: it reads by the new one",
            )
        layout = Layout(wanted.wire_prefix == "confluent", wanted.schema_id, wanted.columns, wanted.types)
        if wanted.format == "avro":
            from aimass.core.sources.kafka.avro_values import AvroDecoder

            return AvroDecoder(given.decode("utf-8", "replace"), layout)
        from aimass.core.sources.kafka.protobuf_values import ProtobufDecoder

        return ProtobufDecoder(given, str(wanted.message), layout)

    def _inferred(
        self, position: KafkaPosition, earlier: KafkaPosition | None, begins: dict[Any, int]
    ) -> dict[str, str]:
        from aimass.core.sources.kafka.json_values import json_schema

        with closing(self._reader()) as reader:
            values = list(self._sample(reader, position, begins))
        known = earlier.columns if earlier else None
        return json_schema(values, earlier=known)

    def _sample(self, reader: Reader, position: KafkaPosition, begins: dict[Any, int]) -> Iterator[bytes | None]:
        """Yield values from the beginning of each partition's part; from before it where all parts are empty."""
        spans = [
            span._replace(start=max(span.start, begins.get((span.topic, span.partition), 0)))
            for span in position.spans()
        ]
        share = -(-self.settings.sample_rows // max(1, len(spans)))
        if not position.size():
            spans = [
                span._replace(start=max(begins[span.topic, span.partition], span.end - share))
                for span in spans
                if (span.topic, span.partition) in begins
            ]
        left = SAMPLE_BYTES
        for span in spans:
            pieces = self._pieces(reader, span) if span.start < span.end else iter(())
            values = itertools.chain.from_iterable(piece.values for piece in pieces)
            for value in itertools.islice(values, share):
                yield value
                left -= len(value or b"")
                if left < 0:
                    return


def _partitions(position: KafkaPosition) -> list[Any]:
    from aimass.core.sources.kafka.cluster import Partition

    return [Partition(span.topic, span.partition) for span in position.spans()]
