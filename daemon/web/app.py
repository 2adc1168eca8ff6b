"""What the daemon says of itself over HTTP: metrics, probes, and the record as JSON. Read-only."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from watchkeeper.daemon.reporting.links import Links
from watchkeeper.daemon.reporting.messages import action_message, incident_message
from watchkeeper.daemon.reporting.metrics import Metrics
from watchkeeper.daemon.storage.records import Records
from watchkeeper.handlers.types import IncidentState

_LIMIT = 500
STALE_S = 30.0  # without a turn of the loop, and the process counts as dead


class Probe(msgspec.Struct, frozen=True):
    """How the loop is: seconds since its last turn, and why it is not ready ("": it is).

    `started` is False until the first partition was restored.
    """

    loop_age_s: float
    not_ready: str = ""
    started: bool = True


def make_app(
    metrics: Metrics,
    records: Records,
    probe: Callable[[], Probe],
    links: Links = Links(),  # noqa: B008  # frozen
) -> Starlette:
    """The application. `probe` is called in the server's thread and must not wait."""
    faces = _Faces(metrics, records, probe, links)
    handlers: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/metrics": faces.metrics,
        "/livez": faces.livez,
        "/readyz": faces.readyz,
        "/startupz": faces.startupz,
        "/api/v1/status": faces.status,
        "/api/v1/incidents": faces.incidents,
        "/api/v1/incidents/{id}": faces.incident,
    }
    routes = [Route(path, handler, methods=["GET"]) for path, handler in handlers.items()]
    return Starlette(routes=routes)


@dataclass(frozen=True, slots=True)
class _Faces:
    told: Metrics
    records: Records
    probe: Callable[[], Probe]
    links: Links

    async def metrics(self, request: Request) -> Response:
        body, content_type = self.told.exposition(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def livez(self, request: Request) -> Response:
        age = self.probe().loop_age_s
        return _plain(f"the loop last turned {age:.1f} s ago", failed=age > STALE_S)

    async def readyz(self, request: Request) -> Response:
        probe = self.probe()
        why = probe.not_ready or ("" if probe.started else "starting")
        return _plain(why or "ready", failed=bool(why))

    async def startupz(self, request: Request) -> Response:
        started = self.probe().started
        return _plain("started" if started else "starting", failed=not started)

    async def status(self, request: Request) -> Response:
        probe = self.probe()
        totals = await run_in_threadpool(self.records.totals)
        models = await run_in_threadpool(self.records.models)
        return _json({"probe": probe, "totals": totals, "models": models})

    async def incidents(self, request: Request) -> Response:
        wanted = request.query_params.get("state")
        if wanted is not None and wanted not in IncidentState.__members__.values():
            return _error(400, f"no state {wanted!r}: one of {', '.join(IncidentState)}")
        state = None if wanted is None else IncidentState(wanted)
        model = request.query_params.get("model")
        limit = request.query_params.get("limit", "100")
        if not re.fullmatch(r"[0-9]{1,9}", limit) or not 1 <= int(limit) <= _LIMIT:
            return _error(400, f"limit is a number from 1 to {_LIMIT}")
        found = await run_in_threadpool(
            self.records.incidents, state=state, model=model, limit=int(limit)
        )
        messages = [incident_message(each, each, self.links) for each in found]
        return _json({"incidents": messages})

    async def incident(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        found = await run_in_threadpool(self.records.incident, wanted)
        if found is None:
            return _error(404, "no such incident")
        actions = await run_in_threadpool(self.records.actions, incident_id=found.id)
        body = {
            "incident": incident_message(found, found, self.links),
            "actions": [action_message(each) for each in actions],
            "timeline": found.timeline,
        }
        return _json(body)


def _plain(text: str, failed: bool) -> Response:
    return PlainTextResponse(text + "\n", status_code=503 if failed else 200)


def _json(body: Any) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")


def _error(status: int, text: str) -> Response:
    body = msgspec.json.encode({"error": text})
    return Response(body, status_code=status, media_type="application/json")
