"""A checkpoint is one transaction; an owner is fenced off by the next one."""

from __future__ import annotations

from dataclasses import replace

import msgspec
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
    letter,
)
from tests.daemon.storage.stores import own, rows
from watchkeeper.daemon.storage import tables
from watchkeeper.daemon.storage.database import Database
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import AuditEntry, Checkpoint, SetAside
from watchkeeper.detectors.profile import Profile
from watchkeeper.handlers.types import ActionState, IncidentState

PROFILE = Profile("fraud", "13", "learned", 2_000, T0, T0 + 60.0, "binary", positive="yes")


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


def test_an_offset_says_of_which_topic_it_is(store: Store) -> None:
    first = replace(checkpoint(own(store, P0)), topics={P0: "an id"})
    store.commit(first)

    assert store.restore([P0, P1], T0).topics == {P0: "an id"}


def test_an_offset_of_a_topic_that_is_not_known_says_nothing_of_the_one_before(
    store: Store,
) -> None:
    epoch = own(store, P0)
    store.commit(replace(checkpoint(epoch), topics={P0: "an id"}))
    store.commit(replace(checkpoint(epoch, offset=11), topics={P0: None}))

    back = store.restore([P0], T0)

    assert (back.offsets, back.topics) == ({P0: 11}, {})


def test_an_incident_is_exact_after_a_round_trip(store: Store) -> None:
    store.commit(checkpoint(own(store, P0)))

    back = store.records.incident(incident().id)

    assert back is not None
    assert repr(back) == repr(incident())  # repr: NaN does not equal itself


def test_a_finding_is_exact_after_a_round_trip(store: Store) -> None:
    store.commit(checkpoint(own(store, P0)))

    assert repr(store.records.findings("fraud", since=T0)) == repr([finding()])
    assert store.records.findings("fraud", since=T0 + 1) == []


def test_a_finding_keeps_its_statement(store: Store) -> None:
    said = msgspec.structs.replace(finding(), statement="stored state has another layout")
    store.commit(replace(checkpoint(own(store, P0)), findings=[said]))

    assert [each.statement for each in store.records.findings()] == [said.statement]


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
    assert isinstance(changed, dict)
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
