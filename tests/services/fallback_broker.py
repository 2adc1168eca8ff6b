"""noida-db: a small broker for machines without Java or Maven Central.

It speaks the protocol well enough for everyday tests. It loses acknowledged records on kill -9, and
does not heed for how many bytes a fetch asks; tests of that ask for `survives_kill` and
`heeds_fetches`.
"""

from __future__ import annotations

from kafka import KafkaAdminClient

from tests.services import base
from tests.services.kafka import answers
from tests.services.process import Process, Service

_VERSION = "0.2.3"
_READY_SECONDS = 30.0


class FallbackBroker(Service):
    """A broker in one 12 MB program."""

    name = "noida-db"
    survives_kill = False
    heeds_fetches = False

    def __init__(self) -> None:
        self._bin = base.venv("noida-db", _VERSION)
        super().__init__()
        (self.port,) = base.free_ports(1)
        self.bootstrap = f"127.0.0.1:{self.port}"

    def launch(self) -> Process:
        """Start the broker."""
        # The program itself, not the script around it, which would not pass signals on.
        (program,) = self._bin.parent.glob("lib/python*/site-packages/noida_db/noida-db")
        program.chmod(0o755)
        command = [str(program), "start", "--only", "kafka", "--kafka-port", str(self.port)]
        data = str(self.directory / "data")
        process = Process([*command, "--data-dir", data], self.directory / "noida-db.log")
        process.wait_ready(lambda: answers(self.port, _lists), _READY_SECONDS)
        return process


def _lists(client: KafkaAdminClient) -> bool:
    client.list_topics()
    return True


def version(install: bool) -> str:
    """Return the version of noida-db that would be started."""
    base.venv("noida-db", _VERSION, install)
    return _VERSION


COMPONENT = base.Component("fallback broker", "noida-db in its own venv", version)
