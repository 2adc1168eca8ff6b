"""A broker that is reached by TLS and a login only, for tests of what that changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec

from tests.services.base import find_executable, free_ports
from tests.services.kafka import Kafka
from watchkeeper.daemon.transport.settings import KafkaSettings

_USER, _PASSWORD = "watchkeeper", "in tests only"
_LOGIN = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    f'username="{_USER}" password="{_PASSWORD}" user_{_USER}="{_PASSWORD}";'
)


class Secured(Kafka):
    """Has one more port for it; a login lasts for `login_ms`, then it must be renewed."""

    def __init__(self, folder: Path, login_ms: int) -> None:
        self.certificate, key = folder / "certificate.pem", folder / "key.pem"
        _make(self.certificate, key)
        store = folder / "store.pem"
        store.write_text(key.read_text() + self.certificate.read_text())
        super().__init__()
        (port,) = free_ports(1)
        self.secured = f"127.0.0.1:{port}"
        plain, inner = (
            f"PLAINTEXT://{self.bootstrap}",
            f"CONTROLLER://127.0.0.1:{self._controller_port}",
        )
        self._settings = {
            "listeners": f"{plain},SASL_SSL://{self.secured},{inner}",
            "advertised.listeners": f"{plain},SASL_SSL://{self.secured}",
            "listener.name.sasl_ssl.ssl.keystore.type": "PEM",
            "listener.name.sasl_ssl.ssl.keystore.location": f"{store}",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": _LOGIN,
            "sasl.enabled.mechanisms": "PLAIN",
            "connections.max.reauth.ms": f"{login_ms}",
        }

    def settings(self, plain: KafkaSettings) -> KafkaSettings:
        """The same, to come by TLS and a login."""
        return msgspec.structs.replace(
            plain,
            bootstrap_servers=[self.secured],
            security_protocol="SASL_SSL",
            sasl_mechanism="PLAIN",
            sasl_username=_USER,
            sasl_password=_PASSWORD,
            ssl_cafile=f"{self.certificate}",
        )


def _make(certificate: Path, key: Path) -> None:
    """Makes a certificate of this host that vouches for itself."""
    command: list[str | Path] = [find_executable("openssl", "openssl"), "req", "-x509", "-nodes"]
    command += ["-newkey", "rsa:2048", "-keyout", key, "-out", certificate, "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
