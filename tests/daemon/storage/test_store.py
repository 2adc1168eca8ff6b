"""A checkpoint is one transaction; an owner is fenced off by the next one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest
import sqlalchemy as sa

from tests.daemon.storage.examples import (
    P0,
    P1,
    T0,
    action,
    checkpoint,
    dead_letter,
    finding,
    incident,
    kept,
    labels,
    letter,
    predictions,
)
from watchkeeper.daemon.storage import tables
from watchkeeper.daemon.storage.database import Database
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import (
    AuditEntry,
    CapturedFrame,
    Checkpoint,
    Fenced,
    Kept,
    KeptKind,
    SetAside,
)
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.detectors.blocks import models_of
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.types import LabelFrame
from watchkeeper.handlers.types import ActionState, IncidentState

PROFILE = Profile("fraud", "13", "learned", 2_000, T0, T0 + 60.0, "binary", positive="yes")


def own(store: Store, *partitions: Partition) -> int:
    return store.restore(partitions, T0).epochs[partitions[0]]


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Everything in the database."""
    database = Database(url)
    with database.read() as connection:
        found = {
            table.name: [tuple(row) for row in connection.execute(sa.select(table))]
            for table in tables.metadata.sorted_tables
        }
    database.close()
    return found


def test_what_was_committed_comes_back(store: Store) -> None:
    epoch = own(store, P0)
    store.commit(replace(checkpoint(epoch), profiles=[PROFILE]))

    back = store.restore([P0], T0)

    assert back.offsets == {P0: 10}
    assert back.states == {"fraud": {"version": 1, "offset": 10, "mean": 0.1 + 0.2}}
    assert list(back.profiles) == [PROFILE]
    assert [each.id for each in back.incidents] == [incident().id]
    assert list(back.actions) == [action()]
    assert back.set_aside == []


def test_an_incident_is_exact_after_a_round_trip(store: Store) -> None:
    store.commit(checkpoint(own(store, P0)))

    back = store.records.incident(incident().id)

    assert back is not None
    assert repr(back) == repr(incident())  # repr: NaN does not equal itself


def test_a_finding_is_exact_after_a_round_trip(store: Store) -> None:
    store.commit(checkpoint(own(store, P0)))

    assert repr(store.records.findings("fraud", since=T0)) == repr([finding()])
    assert store.records.findings("fraud", since=T0 + 1) == []


def test_a_new_partition_has_no_offset(store: Store) -> None:
    assert store.restore([P0, P1], T0).offsets == {P0: None, P1: None}


def test_a_checkpoint_made_twice_changes_nothing(store: Store, url: str) -> None:
    again = checkpoint(own(store, P0))
    store.commit(again)
    once = rows(url)

    store.commit(again)

    assert rows(url) == once


def test_the_audit_is_written_once_with_the_rest(store: Store) -> None:
    lines = [AuditEntry(T0, "ann", "pause", "fraud", "done"), AuditEntry(T0, "bo", "ack", "inc-1")]
    both = Checkpoint(at=T0, epochs={}, audit=lines)

    store.commit(Checkpoint(at=T0, epochs={}, audit=lines[:1]))
    store.commit(both)
    store.commit(both)

    assert store.records.audit() == lines[::-1]


def test_a_refused_checkpoint_leaves_nothing_behind(store: Store, url: str) -> None:
    epoch = own(store, P0)
    before = rows(url)
    broken = replace(checkpoint(epoch), states={"fraud": (0, {"open": object()})})

    with pytest.raises(NotImplementedError):
        store.commit(broken)

    assert rows(url) == before


def fenced_by_a_later_owner(store: Store) -> Checkpoint:
    stale = checkpoint(own(store, P0))
    own(store, P0)
    return stale


def fenced_on_one_of_two(store: Store) -> Checkpoint:
    back = store.restore([P0, P1], T0)
    own(store, P1)
    return replace(checkpoint(0), epochs=back.epochs)


def fenced_without_owning(store: Store) -> Checkpoint:
    return checkpoint(99)


def fenced_by_an_offset_of_another(store: Store) -> Checkpoint:
    return replace(checkpoint(own(store, P0)), offsets={P1: 5})


def fenced_by_a_state_of_another(store: Store) -> Checkpoint:
    return replace(checkpoint(own(store, P0)), states={"fraud": (1, {})})


def fenced_although_it_owns_something_newer(store: Store) -> Checkpoint:
    stale = own(store, P0)
    own(store, P0)
    mine = own(store, P1)
    return replace(checkpoint(0), epochs={P0: stale, P1: mine})


@pytest.mark.parametrize(
    "arrange",
    [
        fenced_by_a_later_owner,
        fenced_on_one_of_two,
        fenced_without_owning,
        fenced_by_an_offset_of_another,
        fenced_by_a_state_of_another,
        fenced_although_it_owns_something_newer,
    ],
)
def test_a_fenced_owner_writes_nothing(
    store: Store, url: str, arrange: Callable[[Store], Checkpoint]
) -> None:
    stale = arrange(store)
    before = rows(url)

    with pytest.raises(Fenced):
        store.commit(stale)

    assert rows(url) == before


def test_a_state_stays_fenced_when_its_partition_is_shared_by_topics(store: Store) -> None:
    labelled = Partition("labels", 0)
    old = store.restore([P0, labelled], T0)
    new = store.restore([P0], T0)
    store.commit(replace(checkpoint(0), epochs=new.epochs))

    with pytest.raises(Fenced, match="state of fraud"):
        store.commit(
            Checkpoint(
                at=T0,
                epochs={labelled: old.epochs[labelled]},
                offsets={labelled: 3},
                states={"fraud": (0, {"stale": True})},
            )
        )


def damage(url: str, blob: bytes) -> None:
    database = Database(url)
    with database.write() as connection:
        connection.execute(sa.update(tables.states).values(blob=blob))
    database.close()


@pytest.mark.parametrize("blob", [b"", b"WK\x01\x00\x00\x00\x00\x00abc", b"not a snapshot at all"])
def test_a_damaged_state_is_set_aside_and_kept(store: Store, url: str, blob: bytes) -> None:
    store.commit(checkpoint(own(store, P0)))
    damage(url, blob)

    back = store.restore([P0], T0 + 5)

    assert back.states == {}
    assert [each.model for each in back.set_aside] == ["fraud"]
    assert [each.id for each in back.incidents] == [incident().id]
    kept = rows(url)["states_set_aside"]
    assert [row[3] for row in kept] == [blob]
    again = store.restore([P0], T0)
    assert (again.states, again.set_aside, again.lost) == ({}, [], ["fraud"])
    assert again.homes == {"fraud": 0}
    store.commit(replace(checkpoint(0), epochs=again.epochs))
    assert store.restore([P0], T0).lost == []


def test_the_core_may_set_a_state_aside(store: Store, url: str) -> None:
    store.commit(checkpoint(own(store, P0)))

    store.set_aside(SetAside("fraud", "layout 0", T0))
    store.set_aside(SetAside("unheard of", "layout 0", T0))

    assert store.restore([P0], T0).states == {}
    assert [each.reason for each in store.records.set_aside()] == ["layout 0"]


def test_the_parts_of_a_state_stay_until_they_are_given_anew(store: Store) -> None:
    whole = replace(checkpoint(own(store, P0)), lasting={"fraud": {"taught": 1}})
    store.commit(replace(whole, references={"fraud": {"against": 2}}))
    before = store.restore([P0], T0)
    store.commit(replace(whole, epochs=before.epochs, lasting={"fraud": {"taught": 3}}))

    after = store.restore([P0], T0)

    (changed,) = (state for _, state in whole.states.values())
    assert before.states == {"fraud": {**changed, "taught": 1, "against": 2}}
    assert after.states == {"fraud": {**changed, "taught": 3, "against": 2}}


def test_a_state_in_three_parts_is_set_aside_as_one(store: Store, url: str) -> None:
    whole = replace(checkpoint(own(store, P0)), lasting={"fraud": {"taught": 1}})
    store.commit(replace(whole, references={"fraud": {"against": 2}}))

    store.set_aside(SetAside("fraud", "damaged", T0))

    assert len(rows(url)["states_set_aside"]) == 3
    assert [each.model for each in store.records.set_aside()] == ["fraud"]
    assert store.records.totals().states_set_aside == 1


def test_a_model_has_one_open_incident_even_after_its_state_was_lost(store: Store) -> None:
    epoch = own(store, P0)
    store.commit(Checkpoint(at=T0, epochs={P0: epoch}, incidents=[incident()]))
    later = incident(opened_at=T0 + 100)

    store.commit(Checkpoint(at=T0, epochs={P0: epoch}, incidents=[later]))

    assert [each.id for each in store.records.incidents(open_only=True)] == [later.id]
    forgotten = store.records.incident(incident().id)
    assert forgotten is not None
    assert forgotten.state is IncidentState.RESOLVED
    assert later.id in forgotten.timeline[-1].text


def test_an_incident_may_close_where_the_next_one_opens(store: Store) -> None:
    epoch = own(store, P0)
    store.commit(Checkpoint(at=T0, epochs={P0: epoch}, incidents=[incident()]))
    closed = incident(state=IncidentState.RESOLVED, revision=2)
    opened = incident(opened_at=T0 + 700)

    store.commit(Checkpoint(at=T0, epochs={P0: epoch}, incidents=[opened, closed]))

    assert repr(store.records.incident(closed.id)) == repr(closed)
    assert [each.id for each in store.records.incidents(open_only=True)] == [opened.id]
    assert [e.id for e in store.records.incidents(state=IncidentState.RESOLVED)] == [closed.id]


def test_kept_frames_come_back_in_the_order_they_were_kept(store: Store) -> None:
    epoch = own(store, P0)
    given: list[CapturedFrame] = [predictions(at=T0), labels(at=T0), predictions(at=T0 - 50)]
    for offset, frame in enumerate(given):
        store.commit(Checkpoint(at=T0, epochs={P0: epoch}, offsets={P0: offset}, kept=kept(frame)))

    back = store.captured("fraud")

    assert [type(each) for each in back] == [type(each) for each in given]
    assert [each.at[0] for each in back] == [each.at[0] for each in given]
    assert [each.at[0] for each in store.captured("fraud", since=T0 - 1)] == [T0, T0]
    assert [each.at[0] for each in store.captured("fraud", until=T0 - 1)] == [T0 - 50]
    assert store.captured("other") == []


def test_an_empty_frame_is_not_kept(store: Store) -> None:
    nothing = predictions(n=0)

    store.commit(Checkpoint(at=T0, epochs={P0: own(store, P0)}, kept=kept(nothing)))

    assert store.captured("fraud") == []


def test_pruning_keeps_the_newest_events_of_each_kind(store: Store) -> None:
    epoch = own(store, P0)
    frames = [predictions(n=4, at=T0 + 10 * i) for i in range(5)] + [labels(n=4, at=T0)]
    store.commit(Checkpoint(at=T0, epochs={P0: epoch}, kept=kept(*frames)))

    gone = store.prune_captured(newest_n=6, keep_s=1_000, now=T0 + 100)

    left = store.captured("fraud")
    assert gone == 3
    assert [each.at[0] for each in left] == [T0 + 30, T0 + 40, T0]
    assert isinstance(left[-1], LabelFrame)


def test_pruning_keeps_as_much_as_a_join_reaches_back(store: Store) -> None:
    blocks = [
        Kept(number, kind, kept(replace(predictions(n=4, at=T0 + 10 * i), model=model))[0].block)
        for i in range(5)
        for model, number in (("fraud", 0), ("churn", 0), ("far", 7))
        for kind in get_args(KeptKind)
    ]
    store.commit(Checkpoint(at=T0, epochs={P0: own(store, P0)}, kept=blocks))

    gone = store.prune_captured(4, 1_000, T0 + 100, joins={"fraud": 12}, numbers={0})

    left = Counter(model for block in store.joins({0}) for model in models_of(block)[0])
    assert left == {"fraud": 3, "churn": 1}
    assert len(store.joins({7})) == 5
    assert [len(store.captured(model)) for model in ("fraud", "churn", "far")] == [1, 1, 5]
    assert gone == 2 + 4 + 4 + 4


def test_pruning_drops_what_is_older_than_the_horizon(store: Store) -> None:
    epoch = own(store, P0)
    frames = [predictions(n=4, at=T0 + 10 * i) for i in range(5)]
    store.commit(Checkpoint(at=T0, epochs={P0: epoch}, kept=kept(*frames)))

    store.prune_captured(newest_n=1_000, keep_s=23, now=T0 + 100)

    assert [each.at[0] for each in store.captured("fraud")] == [T0 + 20, T0 + 30, T0 + 40]


def test_what_is_kept_is_old_beside_its_own_models_events(store: Store) -> None:
    epoch, year_s = own(store, P0), 365 * 86_400.0
    past = [predictions(n=4, at=T0 - year_s + 10 * i) for i in range(3)]
    today = [replace(predictions(n=4, at=T0 - 20 + 10 * i), model="churn") for i in range(3)]
    ahead = [replace(predictions(n=4, at=T0 + d), model="early") for d in (0, 80_000)]
    frames = [*past, *today, *ahead]
    store.commit(Checkpoint(at=T0, epochs={P0: epoch}, kept=kept(*frames)))

    gone = store.prune_captured(newest_n=1_000, keep_s=14.0, now=T0 + 16)

    assert gone == 2
    assert [each.at[0] for each in store.captured("fraud")] == [T0 - year_s + d for d in (10, 20)]
    assert [each.at[0] for each in store.captured("churn")] == [T0 - 10, T0]
    assert len(store.captured("early")) == 2


def test_a_dead_letter_keeps_its_bytes_and_can_be_marked(store: Store) -> None:
    store.commit(checkpoint(own(store, P0)))

    (back,) = store.records.dead_letters()
    store.records.mark_replayed(back.id, T0 + 9)

    assert back.value == dead_letter().value
    assert back.headers == dead_letter().headers
    assert back.message == "a NUL \ufffd in it"
    assert store.records.dead_letters(waiting_only=True) == []
    marked = store.records.dead_letter(back.id)
    assert marked is not None
    assert marked.replayed_at == T0 + 9


def test_a_started_action_is_not_permitted_once_more_by_the_core(store: Store) -> None:
    epoch = own(store, P0)
    store.commit(checkpoint(epoch))
    store.claims("me").claim(action().id, "run", "fraud")

    store.commit(checkpoint(epoch, offset=11))

    stored = store.records.action(action().id)
    assert stored is not None
    assert stored.state is ActionState.STARTED


def test_totals_count_what_waits(store: Store) -> None:
    held = action(attempt=2, state=ActionState.HELD)
    store.commit(replace(checkpoint(own(store, P0)), actions=[held], outbox=[letter()]))

    totals = store.records.totals()

    assert totals.incidents_open == 1
    assert totals.actions_held == 1
    assert totals.outbox_pending == 1
    assert totals.outbox_oldest_at == T0
    assert totals.dead_letters == 1
    assert totals.models == 1
    assert store.records.offsets() == {P0: 10}
    assert store.records.models() == ["fraud"]


def test_more_models_than_one_statement_can_name_are_taken_up(store: Store) -> None:
    names = [f"m{i}" for i in range(33_000)]
    epochs = {P0: own(store, P0)}
    store.commit(Checkpoint(at=T0, epochs=epochs, states=dict.fromkeys(names, (0, {"n": 1}))))

    restored = store.restore([P0], T0)

    assert restored.states.keys() == set(names)
    assert store.records.watched(names) == set(names)
