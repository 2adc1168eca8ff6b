"""What turns of the loop leave behind becomes one checkpoint."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest

from tests.playbook import MODEL, START, Play, rolled_back
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.pending import Pending
from watchkeeper.daemon.reporting.topics import TopicNames, dead_letter_row
from watchkeeper.daemon.storage import snapshots
from watchkeeper.daemon.storage.values import Checkpoint, Deployment
from watchkeeper.daemon.transport.codec import DeadLetter as Refused
from watchkeeper.daemon.transport.codec.deadletter import cut_parts
from watchkeeper.daemon.transport.ports import Headers, Record
from watchkeeper.detectors.types import Change, moment


def committed(play: Play) -> Checkpoint:
    """All of the play in one checkpoint."""
    pending = Pending()
    for step in play.steps:
        pending.add_step(step)
    return pending.checkpoint(play.pipeline.state, {MODEL: 0}, {}, play.at)


def test_a_deployment_is_recorded_with_the_rest() -> None:
    play = Play()
    play.traffic(2)
    at = play.at

    play.change("v2")

    (found,) = committed(play).deployments
    assert found == Deployment(MODEL, "v2", at, None, "", "deployment", f"change:{MODEL}:deploy-v2")


@pytest.mark.parametrize(
    "change",
    [
        Change("c", moment(START), MODEL, "config", "v2"),
        Change("c", moment(START), MODEL, "deployment", None),
    ],
)
def test_other_changes_make_nothing_live(change: Change) -> None:
    pending = Pending()

    pending.add_step(Step(changes=[change]))

    assert pending.deployments == []


def test_a_version_is_faulty_once_leaving_it_has_helped() -> None:
    play = rolled_back()
    assert committed(play).faulty == []

    play.traffic(16, version="v1")

    assert committed(play).faulty == [(MODEL, "v2")]


def test_a_version_that_was_put_back_is_not_faulty() -> None:
    play = rolled_back()
    action = play.actions[0]
    play.traffic(23, version="v1", wrong=0.5)
    play.outcome(action, what="undo")

    play.command("resolve", play.incident.id)

    assert committed(play).faulty == []


def test_states_are_stored_as_they_were_dumped_however_many_there_are() -> None:
    state, pending = State(lambda model: ModelPolicy()), Pending()
    names = [f"model-{number:03d}" for number in range(300)]
    for number, name in enumerate(names):
        state.model(name).absent = number
        pending.dirty.add(name)

    made = pending.checkpoint(state, dict.fromkeys(names, 7), {}, START)

    assert sorted(made.states) == names
    for name, (home, packed) in made.states.items():
        whole = snapshots.decode(snapshots.encode(packed))
        for part in (made.lasting, made.references):
            whole |= snapshots.decode(snapshots.encode(part[name]))
        assert home == 7
        assert snapshots.encode(whole) == snapshots.encode(state.dump(name))


@pytest.mark.parametrize("part", ["key", "value"])
def test_of_a_refused_record_no_more_is_kept_than_is_sent_on(part: str) -> None:
    record = Record("predictions", 2, 5, START, b"fraud", b"{")
    large = msgspec.structs.replace(record, **{part: b"x" * 60_000_000})
    pending = Pending()

    pending.add_refused([Refused(large, "too_large"), Refused(record, "syntax")], START)

    cut, whole = pending.letters
    assert len(cut.key or b"") + len(cut.value or b"") < 1_000_000
    assert cut_parts(cut.headers) == {part: 60_000_000}
    assert (whole.key, whole.value, whole.headers) == (b"fraud", b"{", ())
    assert pending.refused_bytes < 1_000_000


@pytest.mark.parametrize("headers", [(), tuple((f"h{n}", b"") for n in range(50))])
def test_refused_records_without_values_count_as_what_they_take(headers: Headers) -> None:
    pending, count, names = Pending(), 2_000, TopicNames()
    tracemalloc.start()

    for n in range(count):
        own = tuple((f"{name}-{n}", text) for name, text in headers)
        refused = Refused(Record("predictions", 2, n, START, None, None, own), "empty")
        pending.add_refused([refused], START)
        pending.outbox.append(dead_letter_row(refused, names, START))

    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / 2 < pending.refused_bytes < 2 * taken
