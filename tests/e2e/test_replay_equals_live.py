"""The same events give the same findings, incidents and actions, from a file or over Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.e2e.census import Versions
from tests.e2e.scenario import WINDOW_S, Scenario
from tests.e2e.stage import Stage
from watchkeeper.daemon.storage.store import Store
from watchkeeper.handlers.types import IncidentState

pytestmark = [pytest.mark.service, pytest.mark.slow]

_ALL = 1_000_000


class Record(NamedTuple):
    """What was made true, each thing in a form in which NaN equals NaN."""

    findings: list[bytes]
    incidents: list[bytes]
    actions: list[bytes]


def record_of(store: Store) -> Record:
    """Every finding, incident and action, in order."""
    records = store.records
    encode = msgspec.msgpack.Encoder(order="deterministic").encode
    return Record(
        [encode((each.id, each)) for each in records.findings(limit=_ALL)],
        [encode(each) for each in records.incidents(limit=_ALL)],
        [encode(each) for each in records.actions(limit=_ALL)],
    )


def test_replay_gives_what_the_daemon_gave(
    stage: Stage, trained: Versions, tmp_path: Path, postgres_url: str
) -> None:
    played = Scenario(
        model=stage.model,
        versions={"1": str(trained.healthy), "2": str(trained.mistaken)},
        seconds=70 * WINDOW_S,
        deployed="2",
        deploy_at=42 * WINDOW_S,
        nulled="AGEP",
        nulled_from=55 * WINDOW_S,
        nulled_to=60 * WINDOW_S,
    )
    watch = stage.install(postgres_url, {"positive": "1"})
    watch.start()
    stage.play(played, watch)
    stage.wait_end(watch, 120)
    watch.stop()
    file = stage.record(played)

    replayed = []
    for name in ("first", "second"):
        url = f"sqlite:///{tmp_path / name}.db"
        watch.cli("replay", str(file), "--database", url)
        store = Store(url)
        replayed.append(record_of(store))
        store.close()

    live = record_of(watch.store)
    (incident,) = watch.incidents()
    assert incident.state is not IncidentState.RESOLVED
    assert len(live.findings) > 100
    assert "rollback" in {action.kind for action in watch.actions()}
    assert replayed[0] == replayed[1]
    assert replayed[0].findings == live.findings
    assert replayed[0] == live
