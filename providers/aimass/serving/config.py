"""Every option of the inference server: read from a YAML file, and each from the command line too."""

from __future__ import annotations

import socket
from pathlib import Path

from pydantic import Field, field_validator

from aimass.core.settings import Settings


class ServeConfig(Settings):
    """How a server runs."""

    # --- where it listens -------------------------------------------------------------------------------------------
    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(default=8200, ge=0, le=65535, description="Port of REST; 0 takes a free one.")
    grpc_port: int | None = Field(
        default=None, ge=0, le=65535, description="Port of gRPC; null for none, 0 takes a free one."
    )
    server_id: str = Field(default="", description="Name of the server in logs and segments; empty: host and port.")
    workers: int = Field(default=1, ge=1, le=256, description="Processes that answer requests.")
    threads: int = Field(
        default=1, ge=1, description="Threads inside one run of a model; answers are bit-equal with 1 only."
    )
    tls_cert: Path | None = Field(default=None, description="PEM file with the certificate chain; null serves http.")
    tls_key: Path | None = Field(default=None, description="PEM file with its private key.")
    tokens_file: Path | None = Field(
        default=None, description="File of tokens, one a line: name:sha256-hex[:model,model]; null asks for none."
    )
    access_log: float = Field(default=0.0, ge=0, le=1, description="Share of the requests that the log names.")

    # --- what it serves ---------------------------------------------------------------------------------------------
    tracking_uri: str = Field(default="", description="Address of MLflow; empty: what MLflow itself is set to.")
    registry_uri: str = Field(default="", description="Address of its registry, where that is another.")
    store: str = Field(default="", description="Root of the store that takes the prediction log; empty keeps none.")
    models: tuple[str, ...] = Field(default=(), description="Names of the models served; empty for all.")
    alias: str = Field(default="champion", description="Alias that answers where a request names nothing.")
    pins: tuple[str, ...] = Field(default=(), description="Models, or model@version, that never leave memory.")
    prewarm: tuple[str, ...] = Field(
        default=("*",), description="Models loaded before the server is ready; * for all that it serves."
    )
    memory_budget_mb: int = Field(default=2048, ge=16, description="Memory for models, per worker, in MiB.")
    cache_dir: Path = Field(
        default=Path("~/.cache/aimass/serving"),
        validate_default=True,
        description="Folder of fetched models and the last known table.",
    )
    registry_poll_s: float = Field(default=5.0, gt=0, description="Seconds between two looks at the registry.")
    shadow_rows: int = Field(
        default=200, ge=0, description="Recent rows that a new version must answer before it takes over."
    )
    shadow_max_failed: float = Field(
        default=0.0, ge=0, le=1, description="Share of those rows that may fail or answer NaN."
    )
    shadow_max_mean_diff: float = Field(
        default=1.0, ge=0, le=1, description="Mean difference of probabilities to the version before; 1 allows any."
    )
    shadow_max_ms: float = Field(default=100.0, gt=0, description="Median time of one row, in ms, that it may take.")

    # --- how it answers ---------------------------------------------------------------------------------------------
    max_batch_rows: int = Field(default=512, ge=1, description="Rows of one run of a model; larger requests are cut.")
    batch_wait_ms: float = Field(
        default=0.0, ge=0, le=1000, description="Time that a loaded model's requests wait for company, in ms."
    )
    queue_rows: int = Field(
        default=10_000, ge=1, description="Rows that may wait for one model in one worker; beyond, requests get 429."
    )
    request_timeout_s: float = Field(default=10.0, gt=0, description="Time for one answer, in seconds; then 504.")
    header_timeout_s: float = Field(
        default=10.0, gt=0, description="Time for a request's headers, and for the handshake before them, in seconds."
    )
    body_timeout_s: float = Field(default=30.0, gt=0, description="Time for a request's body, in seconds; then 408.")
    body_limit_mb: float = Field(default=16.0, gt=0, description="Size of a request's body in MiB; beyond, 413.")
    keep_alive_s: float = Field(default=30.0, gt=0, description="Time that an idle connection stays open, in seconds.")
    max_connections: int = Field(
        default=1000, ge=1, description="Connections of one worker, and TLS handshakes; beyond, 503."
    )
    drain_delay_s: float = Field(
        default=0.0,
        ge=0,
        description="Time after SIGTERM in which it still answers, but no longer says that it is ready, in seconds: "
        "for a load balancer to turn away.",
    )
    drain_timeout_s: float = Field(
        default=30.0, gt=0, description="Time for requests in flight to finish after that, in seconds."
    )

    # --- what it writes down ----------------------------------------------------------------------------------------
    log_sample: float = Field(default=1.0, ge=0, le=1, description="Share of the requests in the prediction log.")
    log_flush_s: float = Field(
        default=60.0, gt=0, description="Age at which an open piece of the prediction log becomes a segment, in s."
    )
    log_limit_mb: int = Field(
        default=1024, ge=1, description="Disk for predictions that are not in the store yet, in MiB; beyond, dropped."
    )

    @field_validator("cache_dir")
    @classmethod
    def _at_home(cls, value: Path) -> Path:
        return value.expanduser()

    @property
    def name(self) -> str:
        """The server's name: as given, or host and port."""
        return self.server_id or f"{socket.gethostname()}-{self.port}"

    @property
    def body_limit(self) -> int:
        """Largest body in bytes."""
        return int(self.body_limit_mb * 1024 * 1024)
