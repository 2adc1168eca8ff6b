"""Events as they are published, read by the whole daemon: one source of labels begins to lie, or
says of a new version alone what others do not."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.daemon.storage.examples import T0
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.models import ActionName, ModelSettings
from watchkeeper.daemon.config.sections import Daemon as Here
from watchkeeper.daemon.config.sections import Database
from watchkeeper.daemon.config.units import Duration
from watchkeeper.daemon.core.guards import DOUBTED, SURE
from watchkeeper.daemon.service import Daemon
from watchkeeper.daemon.topics import kinds_of
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink, MemorySource
from watchkeeper.daemon.transport.ports import Message
from watchkeeper.detectors.types import (
    Change,
    Event,
    Label,
    Prediction,
    PredictionValue,
    moment,
)
from watchkeeper.handlers.types import Incident, Kind, Mode

WINDOWS, LYING, PER_WINDOW = 75, 15, 120
START = T0 - 60.0 * (WINDOWS + 2)
NAMES = ("crew", "vendor", "users")


class Published(NamedTuple):
    """An event, when it is published, and where."""

    at: float
    topic: str
    event: Event


def published(
    liars: frozenset[str | None],
    named: bool,
    deployed: int = WINDOWS - LYING,
    names: Sequence[str] = NAMES,
    wrong: float = 0.08,
) -> Iterator[Published]:
    """An hour of a good model, and a quarter of one in which some labels are turned round; a new
    version is deployed after so many windows."""
    rng, opposite = random.Random(7), {"yes": "no", "no": "yes"}
    for i in range(WINDOWS * PER_WINDOW):
        at = START + 60.0 * i / PER_WINDOW
        late = i >= (WINDOWS - LYING) * PER_WINDOW
        truth = "yes" if rng.random() < 0.4 else "no"
        said = opposite[truth] if rng.random() < wrong else truth
        version = "2" if i >= deployed * PER_WINDOW else "1"
        request, source = f"r{i}", names[i % len(names)] if named else None
        score = min(max((0.9 if said == "yes" else 0.1) + rng.gauss(0, 0.05), 0.0), 1.0)
        yield Published(
            at,
            "predictions",
            Prediction(
                id=f"p{i}",
                time=moment(at),
                model_name="fraud",
                model_version=version,
                request_id=request,
                features={"amount": rng.gauss(50, 10)},
                prediction=PredictionValue(label=said, score=score),
                duration_s=0.05,
            ),
        )
        told = opposite[truth] if late and source in liars else truth
        when = moment(at + 60.0)
        who = {"id": f"l{i}", "time": when, "model_name": "fraud", "request_id": request}
        label = msgspec.convert({**who, "label": told, "source": source}, Label)
        yield Published(at + 60.0, "labels", label)
    at = START + 60.0 * deployed
    change = Change(
        id="deploy-2",
        time=moment(at),
        model_name="fraud",
        kind="deployment",
        model_version="2",
        previous_version="1",
    )
    yield Published(at, "changes", change)


def judged(folder: Path, events: Iterator[Published]) -> tuple[Incident, list[str]]:
    """What the daemon makes of the events: the incident, and the kinds of its actions."""
    topics = ("predictions", "labels", "changes")
    broker = MemoryBroker({f"watchkeeper.{topic}": 1 for topic in topics})
    for at, topic, event in sorted(events, key=lambda each: each.at):
        message = Message(f"watchkeeper.{topic}", b"fraud", msgspec.json.encode(event))
        broker.publish(message, at)
    modes: dict[ActionName, Mode] = {"retrain": Mode.OBSERVE}  # it would start a process
    fraud = ModelSettings(mode=Mode.ACT, actions=modes, positive="yes", learn=1_000)
    here = Here(state_dir=str(folder), stop_timeout=Duration(3))
    database = Database(url=f"sqlite:///{folder}/w.db")
    config = Config(daemon=here, database=database, models={"fraud": fraud})
    source = MemorySource(broker, list(kinds_of(config)))
    daemon = Daemon(config, source, MemorySink(broker), clock=lambda: T0)
    try:
        for _ in range(200):
            daemon.loop.turn(timeout=0.0)
        model = daemon.loop.pipeline.state.models["fraud"]
        assert model.incident is not None
        return model.incident, [action.kind for action in model.actions.values()]
    finally:
        daemon.close()


def test_a_source_that_lies_has_no_model_rolled_back(tmp_path: Path) -> None:
    incident, actions = judged(tmp_path, published(frozenset({"vendor"}), True, WINDOWS // 3))

    assert incident.fault.kind is Kind.LABELS
    assert incident.fault.place == "source vendor"
    assert actions == []


def test_the_labels_of_a_liar_are_not_taken_for_those_of_others_where_they_are_few(
    tmp_path: Path,
) -> None:
    names = (*NAMES, "bank", "shop")
    events = published(frozenset({"vendor"}), True, WINDOWS // 3, names, wrong=0.25)

    incident, actions = judged(tmp_path, events)

    assert (incident.fault.kind, incident.fault.place) == (Kind.LABELS, "source vendor")
    assert incident.fault.confidence > SURE
    assert actions == []


def test_a_new_version_that_one_source_alone_calls_worse_is_for_a_person(tmp_path: Path) -> None:
    incident, actions = judged(tmp_path, published(frozenset({"vendor"}), named=True))

    assert incident.fault.kind is Kind.MODEL
    assert incident.fault.probabilities[Kind.LABELS] >= DOUBTED
    assert actions[0] == "rollback"


@pytest.mark.parametrize("named", [True, False])
def test_where_all_labels_agree_the_new_version_is_rolled_back(tmp_path: Path, named: bool) -> None:
    incident, actions = judged(tmp_path, published(frozenset({*NAMES, None}), named))

    assert incident.fault.kind is Kind.MODEL
    assert "rollback" in actions
