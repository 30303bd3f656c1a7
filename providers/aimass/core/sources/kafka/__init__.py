"""Apache Kafka as a source: which messages there are, how they are fetched, and how they become rows."""
