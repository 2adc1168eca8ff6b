"""What nobody needs any more goes, and nothing else."""

from __future__ import annotations

from msgspec.structs import replace

from tests.daemon.storage import examples
from tests.daemon.storage.examples import P0, T0, finding, letter
from watchkeeper.daemon.storage.retention import FINDINGS_S, SENT_S, TAKEN_S, Forgotten
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint, SetAside
from watchkeeper.detectors.types import Command, Series, moment


def test_old_findings_go_and_newer_ones_stay(store: Store) -> None:
    ages = (FINDINGS_S + 1, FINDINGS_S - 1, 0.0)
    found = [finding(T0 - age) for age in ages]
    store.commit(Checkpoint(at=T0, epochs={}, findings=found))

    assert store.forget_old(T0) == Forgotten(findings=1, sent=0, taken=0)
    assert not store.forget_old(T0)
    assert ids(store) == [each.id for each in found[1:]]


def test_a_past_that_is_read_today_is_kept_as_long(store: Store) -> None:
    long_ago = T0 - 10 * FINDINGS_S
    old = [finding(long_ago - FINDINGS_S - 1), finding(long_ago - 1), finding(long_ago)]
    other = replace(finding(T0), series=Series("churn", "1", "accuracy", "accuracy"))
    store.commit(Checkpoint(at=T0, epochs={}, findings=[*old, other]))

    assert store.forget_old(T0).findings == 1
    assert ids(store) == [each.id for each in (*old[1:], other)]


def test_told_messages_go_and_all_others_stay(store: Store) -> None:
    names = ("told", "told lately", "refused", "waiting")
    store.letters.add([letter(name, incident=None) for name in names])
    store.letters.sent(["told"], T0 - SENT_S - 1)
    store.letters.sent(["told lately"], T0 - SENT_S + 1)
    store.letters.blocked("refused", T0 - SENT_S - 1, "no such project")

    assert store.forget_old(T0 + 1) == Forgotten(findings=0, sent=1, taken=0)
    assert store.forget_old(T0 + 3).sent == 1
    assert (store.letters.pending("sentry"), store.letters.refused("sentry")) == (1, 1)


def test_answered_commands_go_and_waiting_ones_stay(store: Store) -> None:
    for name, taken_at in (("c1", T0 - TAKEN_S - 1), ("c2", T0 - TAKEN_S + 1), ("c3", None)):
        order = Command(id=name, time=moment(T0), command="pause", target="fraud")
        store.inbox.put(order, T0 - 2 * TAKEN_S)
        if taken_at is not None:
            store.commit(Checkpoint(at=taken_at, epochs={}, answers={name: "done"}))

    assert store.forget_old(T0) == Forgotten(findings=0, sent=0, taken=1)
    assert [store.inbox.answer(name) for name in ("c1", "c2", "c3")] == [None, "done", None]
    assert [each.id for each in store.inbox.waiting()] == ["c3"]


def test_incidents_actions_and_states_that_were_set_aside_are_kept(store: Store) -> None:
    epochs = store.restore([P0], T0).epochs
    store.commit(examples.checkpoint(epochs[P0]))
    store.set_aside(SetAside("fraud", "damaged", T0))

    store.forget_old(T0 + 10 * FINDINGS_S)

    assert [each.model for each in store.records.set_aside()] == ["fraud"]
    assert len(store.records.incidents()) == len(store.records.actions()) == 1
    assert len(store.records.dead_letters()) == 1


def ids(store: Store) -> list[str]:
    """The findings that are kept, oldest first."""
    return [each.id for each in store.records.findings()]
