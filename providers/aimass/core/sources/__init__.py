"""Where rows come from: one file per kind of source."""

from __future__ import annotations

from aimass.core.registry import Registry
from aimass.core.sources.base import Source

SOURCES: Registry[type[Source]] = Registry(
    "source",
    {
        "files": "aimass.core.sources.files:FilesSource",
        "mysql": "aimass.core.sources.mysql.source:MySqlSource",
        "kafka": "aimass.core.sources.kafka.source:KafkaSource",
        "hdfs": "aimass.core.sources.hdfs.source:HdfsSource",
        "mongodb": "aimass.core.sources.mongodb.source:MongoDbSource",
        "obs": "aimass.core.sources.obs:ObsSource",
    },
)
