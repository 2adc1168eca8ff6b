"""`watchkeeper status` and `watchkeeper doctor`."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from tests.daemon.cli.conftest import Host, process
from tests.daemon.storage import examples


class Probes(http.server.BaseHTTPRequestHandler):
    """Is live and not ready."""

    def do_GET(self) -> None:
        live = self.path == "/livez"
        self.send_response(200 if live else 503)
        self.end_headers()
        self.wfile.write(b"ok" if live else b"no partitions\x1b[31m")

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def listening() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Probes)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_status_shows_what_is_open_and_that_nobody_is_home(host: Host) -> None:
    host.write('[web]\nlisten = "127.0.0.1:1"\n')

    shown = json.loads(host.run("status", "-o", "json").stdout)

    assert shown["daemon"] == "nothing answers on 127.0.0.1:1"
    assert (shown["incidents_open"], shown["actions_held"], shown["dead_letters"]) == (1, 1, 1)
    assert examples.incident().id in shown["incidents"][0]


def test_probes_end_with_0_or_1(host: Host, listening: str) -> None:
    host.write(f'[web]\nlisten = "{listening}"\n')

    live, ready = host.run("status", "--probe", "live"), host.run("status", "--probe", "ready")
    table = host.run("status")

    assert (live.exit_code, live.stdout) == (0, "live\n")
    assert (ready.exit_code, "not ready: no partitions" in ready.stderr) == (1, True)
    assert "\x1b" not in ready.output + table.output


def test_the_doctor_says_what_is_bad_and_what_would_help(brokerless: Host) -> None:
    ended = process("doctor", "-o", "json", folder=brokerless.folder)

    found = {each["check"]: (each["state"], each["message"]) for each in json.loads(ended.stdout)}
    assert ended.returncode == 1
    assert found["kafka"][0] == "bad"
    assert "127.0.0.1:1" in found["kafka"][1]
    assert found["database"][0] == "ok"
    assert found["crc32c"] == ("ok", "installed")
    assert found["sentry"][0] == "warning"
    assert found["clock"][0] == "ok"


def test_the_doctor_finds_a_database_without_tables(brokerless: Host) -> None:
    database = brokerless.folder / "empty.db"
    database.touch()

    ended = process(
        *("doctor", "-o", "json"),
        folder=brokerless.folder,
        WATCHKEEPER_DATABASE__URL=f"sqlite:///{database}",
    )

    found = next(each for each in json.loads(ended.stdout) if each["check"] == "database")
    assert found["state"] == "bad"
    assert "`watchkeeper db upgrade`" in found["message"]
