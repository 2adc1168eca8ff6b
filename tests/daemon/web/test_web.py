"""The daemon says over HTTP how it is; nobody can change anything there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import urllib3
from msgspec.structs import replace

from tests.daemon.storage.examples import T0, action, incident
from watchkeeper.daemon.reporting.metrics import Metrics
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.daemon.web.app import Probe, make_app
from watchkeeper.daemon.web.server import BindError, WebServer

WELL = Probe(loop_age_s=0.1)


@dataclass
class Site:
    """A running server; `probe` is what it says of the loop."""

    url: str
    probe: Probe = WELL

    def get(self, path: str, method: str = "GET", **headers: str) -> urllib3.BaseHTTPResponse:
        with urllib3.PoolManager(retries=False, timeout=10.0) as pool:
            return pool.request(method, self.url + path, headers=headers)

    def json(self, path: str) -> Any:
        return msgspec.json.decode(self.get(path).data)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/w.db"
    migrate.upgrade(url)
    opened = Store(url)
    opened.commit(Checkpoint(at=T0, epochs={}, incidents=[incident()], actions=[action()]))
    yield opened
    opened.close()


@pytest.fixture
def site(store: Store) -> Iterator[Site]:
    made = Site("")
    app = make_app(Metrics("1.2.3"), store.records, lambda: made.probe)
    server = WebServer(app, "127.0.0.1:0")
    server.start()
    made.url = server.url
    yield made
    assert server.stop(10.0)


def test_metrics_are_there_for_prometheus(site: Site) -> None:
    reply = site.get("/metrics")

    assert reply.status == 200
    assert b'watchkeeper_build_info{python="' in reply.data
    assert reply.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("probe", "live", "ready", "started"),
    [
        (WELL, 200, 200, 200),
        (replace(WELL, loop_age_s=31.0), 503, 200, 200),
        (replace(WELL, not_ready="no broker answers"), 200, 503, 200),
        (replace(WELL, started=False), 200, 503, 503),
    ],
)
def test_probes_say_how_the_loop_is(
    site: Site, probe: Probe, live: int, ready: int, started: int
) -> None:
    site.probe = probe

    answers = [site.get(path).status for path in ("/livez", "/readyz", "/startupz")]

    assert answers == [live, ready, started]


def test_a_probe_that_fails_says_why(site: Site) -> None:
    site.probe = replace(WELL, not_ready="no broker answers")

    assert site.get("/readyz").data == b"no broker answers\n"


def test_status_and_incidents_are_json(site: Site) -> None:
    status = site.json("/api/v1/status")
    listed = site.json("/api/v1/incidents?state=open&model=fraud&limit=5")
    one = site.json(f"/api/v1/incidents/{incident().id}")

    assert status["totals"]["incidents_open"] == 1
    assert [each["incident_id"] for each in listed["incidents"]] == [incident().id]
    assert one["incident"]["fault"]["class"] == "model"
    assert [each["action_id"] for each in one["actions"]] == [action().id]
    assert len(one["timeline"]) == 2
    assert site.json("/api/v1/incidents?state=resolved") == {"incidents": []}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/incidents/none", 404),
        ("/api/v1/incidents?state=sleepy", 400),
        ("/api/v1/incidents?limit=0", 400),
        ("/api/v1/incidents?limit=99999999999999999999", 400),
        ("/api/v1/incidents?limit=00000000199999999999999999999", 400),
        ("/api/v1/incidents?limit=-1", 400),
        ("/api/v1/incidents?limit=%C2%B2", 400),
        ("/elsewhere", 404),
    ],
)
def test_bad_questions_are_refused(site: Site, path: str, status: int) -> None:
    assert site.get(path).status == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(site: Site, method: str) -> None:
    assert site.get(f"/api/v1/incidents/{incident().id}", method).status == 405


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:0"])
def test_a_public_address_is_refused_unless_it_is_wanted(listen: str) -> None:
    with pytest.raises(BindError, match=r"web\.allow_public"):
        WebServer(_nothing, listen)


@pytest.mark.parametrize("listen", ["127.0.0.1", ":80", "127.0.0.1:http", "127.0.0.1:99999"])
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(BindError, match="expected host:port"):
        WebServer(_nothing, listen)


def test_a_public_address_can_be_wanted() -> None:
    server = WebServer(_nothing, "0.0.0.0:0", allow_public=True)
    server.start()

    assert server.port > 0
    assert server.stop(10.0)


def test_a_port_that_is_taken_is_said() -> None:
    first = WebServer(_nothing, "127.0.0.1:0")
    first.start()

    with pytest.raises(BindError, match="cannot listen"):
        WebServer(_nothing, f"127.0.0.1:{first.port}").start()

    assert first.stop(10.0)


def test_stopping_what_never_began_is_no_trouble() -> None:
    server = WebServer(_nothing, "127.0.0.1:0")

    assert server.stop(1.0)
    assert server.stop(1.0)


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nobody asks")
