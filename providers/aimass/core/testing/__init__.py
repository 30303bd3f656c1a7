"""Contract tests, in-memory fakes and failpoints, for our own tests and for those of third-party backends."""
