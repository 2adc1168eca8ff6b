"""How to reach Kafka."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Profile = Literal["default", "low_latency"]
# How long brokers may let records wait for more: `default` trades 50 ms for CPU time.
PROFILES: dict[Profile, dict[str, int]] = {
    "default": {"fetch_min_bytes": 65_536, "fetch_max_wait_ms": 50},
    "low_latency": {"fetch_min_bytes": 1, "fetch_max_wait_ms": 100},
}


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One cluster and this process's place in it. Secrets are already resolved."""

    bootstrap_servers: list[str]
    group_id: str = "watchkeeper"
    client_id: str = "watchkeeper"
    group_instance_id: str | None = None
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    assignor: Literal["range", "cooperative-sticky"] = "range"
    fetch_min_bytes: int = 65_536
    fetch_max_wait_ms: int = 50
    max_partition_fetch_bytes: int = 4 * 1024 * 1024
    max_poll_records: int = 20_000
    session_timeout_ms: int = 45_000
    max_poll_interval_ms: int = 300_000
    offset_reset: Literal["earliest", "latest"] = "earliest"
    batches: bool = True

    def __repr__(self) -> str:
        """Names the cluster and hides the password."""
        return f"KafkaSettings({','.join(self.bootstrap_servers)!r}, group_id={self.group_id!r})"


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """What every client of kafka-python is given to connect."""
    return {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": settings.client_id,
        "security_protocol": settings.security_protocol,
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": settings.sasl_password,
        "ssl_cafile": settings.ssl_cafile,
        "ssl_certfile": settings.ssl_certfile,
        "ssl_keyfile": settings.ssl_keyfile,
        "bootstrap_timeout_ms": 5_000,
        "request_timeout_ms": 10_000,
    }
