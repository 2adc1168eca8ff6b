"""A row of the record that cannot be read costs no more than itself, and is told of once."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from tests.daemon.storage.examples import (
    P0,
    T0,
    action,
    checkpoint,
    dead_letter,
    incident,
    letter,
)
from tests.daemon.storage.receivers import Clock, Receiver
from tests.daemon.storage.stores import own, rows
from watchkeeper.daemon.storage import snapshots, tables
from watchkeeper.daemon.storage.database import Database
from watchkeeper.daemon.storage.outbox import Outbox
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Checkpoint, Job, ModelVersion
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.types import Command, moment
from watchkeeper.handlers.types import Action, ActionState

LEARNED = Profile("fraud", "12", "learned", 2_000, T0, T0 + 60.0, "binary", positive="yes")
IMPORTED = Profile("fraud", "13", "imported", 2_000, T0, T0 + 60.0, "binary", positive="yes")
SOUND = snapshots.encode(LEARNED)
NEWER = SOUND[:2] + b"\xff\x7f" + SOUND[4:]
FLIPPED = SOUND[:-5] + bytes([SOUND[-5] ^ 4]) + SOUND[-4:]
OTHER = snapshots.encode(["of", "another", "form"])
BLOBS = {
    "nothing": b"",
    "torn": SOUND[: len(SOUND) // 2],
    "flipped": FLIPPED,
    "newer": NEWER,
    "other": OTHER,
}
DAMAGE = pytest.mark.parametrize("blob", BLOBS.values(), ids=BLOBS)
RECORD = pytest.mark.parametrize(
    ("name", "column", "part"),
    [
        ("incidents", "body", "incident"),
        ("actions", "body", "action"),
        ("profiles", "blob", "reference"),
    ],
)


def damage(url: str, table: str, column: str, blob: bytes, model: str | None = "fraud") -> None:
    """Every such row, of one model where these are a model's."""
    database, here = Database(url), tables.metadata.tables[table]
    changed = sa.update(here).values({column: blob})
    with database.write() as connection:
        connection.execute(changed if model is None else changed.where(here.c.model == model))
    database.close()


def filled(store: Store) -> None:
    """Two models, each with one of everything."""
    other = incident(model="churn")
    whole = checkpoint(own(store, P0))
    store.commit(
        replace(
            whole,
            states={**whole.states, "churn": (0, {"version": 1})},
            incidents=[*whole.incidents, other],
            actions=[*whole.actions, action(other)],
            profiles=[LEARNED, IMPORTED, msgspec.structs.replace(LEARNED, model="churn")],
        )
    )


@DAMAGE
@RECORD
def test_a_row_that_cannot_be_read_is_put_away_and_the_rest_goes_on(
    store: Store, url: str, name: str, column: str, part: str, blob: bytes
) -> None:
    filled(store)
    whole = store.restore([P0], T0)
    damage(url, name, column, blob)

    back = store.restore([P0], T0 + 5)
    again = store.restore([P0], T0 + 10)

    assert [(each.model, each.part) for each in back.set_aside] == [("fraud", part)]
    told = [f.series for f in store.records.findings() if f.series.signal == "state"]
    assert [(each.model, each.target) for each in told] == [("fraud", part)]
    assert again.set_aside == []
    assert {row[3] for row in rows(url)["states_set_aside"]} == {blob}
    assert (back.states, back.offsets, back.lost) == (whole.states, whole.offsets, [])
    left = (len(back.incidents), len(back.actions), len(back.profiles))
    assert left == {"incident": (1, 2, 3), "action": (2, 1, 3), "reference": (2, 2, 1)}[part]


@RECORD
def test_what_only_looks_leaves_out_what_cannot_be_read(
    store: Store, url: str, name: str, column: str, part: str
) -> None:
    filled(store)
    damage(url, name, column, NEWER)
    records, registry = store.records, store.registry

    found = {
        "incident": (
            [each.model for each in records.incidents()],
            records.incident(incident().id),
        ),
        "action": ([each.model for each in records.actions()], records.action(action().id)),
        "reference": (
            [each.model for m in ("fraud", "churn") for each in registry.profiles(m)],
            next(registry.imported(["fraud", "churn"]), None),
        ),
    }

    assert found.pop(part) == (["churn"], None)
    assert all("fraud" in models and one is not None for models, one in found.values())


def test_an_incident_that_was_put_away_frees_its_model_for_the_next_one(
    store: Store, url: str
) -> None:
    filled(store)
    damage(url, "incidents", "body", FLIPPED)
    later = incident(opened_at=T0 + 100)

    # Without a restart in between: what is damaged now must not stop a checkpoint either.
    epochs = {P0: int(str(rows(url)["offsets"][0][-1]))}
    store.commit(Checkpoint(at=T0, epochs=epochs, incidents=[later]))

    assert [each.id for each in store.records.incidents(model="fraud")] == [later.id]
    assert [each.reason for each in store.records.set_aside()] == [
        f"incident {incident().id}: checksum does not match: the bytes are damaged"
    ]


def test_what_the_state_knows_of_the_record_is_written_again(store: Store, url: str) -> None:
    filled(store)
    mine = action()
    state = {
        "incident": msgspec.to_builtins(incident()),
        "actions": {mine.id: msgspec.to_builtins(mine)},
    }
    store.commit(Checkpoint(at=T0, epochs={P0: own(store, P0)}, states={"fraud": (0, state)}))
    assert store.claims("here").claim(mine.id, "run", "fraud") is not None
    damage(url, "incidents", "body", FLIPPED)
    damage(url, "actions", "body", FLIPPED)

    back = store.restore([P0], T0 + 5)

    assert {each.part for each in back.set_aside} == {"incident", "action"}
    assert repr(store.records.incident(incident().id)) == repr(incident())
    started: Action = msgspec.structs.replace(mine, state=ActionState.STARTED)
    assert store.records.action(mine.id) == started
    assert [each.action for each in store.claims("here").started()] == [started]


def test_a_step_of_an_action_that_cannot_be_read_is_left_out(store: Store, url: str) -> None:
    filled(store)
    ids = {each.model: each.id for each in store.records.actions()}
    for model, name in ids.items():
        store.claims("here").claim(name, "run", model)
    damage(url, "actions", "body", FLIPPED)

    assert [each.action.model for each in store.claims("here").started()] == ["churn"]


def test_what_was_learned_takes_no_ones_place_though_a_reference_cannot_be_read(
    store: Store, url: str
) -> None:
    filled(store)
    damage(url, "profiles", "blob", FLIPPED)
    epochs = {P0: int(str(rows(url)["offsets"][0][-1]))}

    store.commit(Checkpoint(at=T0, epochs=epochs, profiles=[LEARNED]))

    assert store.registry.profiles("fraud") == [LEARNED]


@DAMAGE
def test_a_state_of_an_odd_part_is_set_aside(store: Store, url: str, blob: bytes) -> None:
    filled(store)
    whole = checkpoint(own(store, P0))
    store.commit(replace(whole, lasting={"fraud": {"taught": 1}}))
    damage(url, "states_lasting", "blob", blob)

    back = store.restore([P0], T0 + 5)

    assert (back.lost, list(back.states)) == (["fraud"], ["churn"])


@DAMAGE
def test_a_message_whose_headers_cannot_be_read_is_refused_and_the_rest_goes_on(
    store: Store, url: str, clock: Clock, blob: bytes
) -> None:
    receiver = Receiver()
    outbox = Outbox(store.letters, {"sentry": receiver}, clock=clock)
    store.letters.add([letter("m1")])
    damage(url, "outbox", "headers", blob, model=None)
    store.letters.add([letter("m2"), letter("m3", incident="inc-2")])

    while outbox.deliver_due("sentry"):
        pass

    assert sorted(receiver.ids) == ["m2", "m3"]
    assert store.letters.refused("sentry") == 1
    assert outbox.counts()["sentry", "blocked"] == 1
    (refused,) = [row for row in rows(url)["outbox"] if row[1] == "m1"]
    assert "its headers: " in str(refused)


def test_a_command_that_cannot_be_read_is_answered_so(store: Store, url: str) -> None:
    sound = Command(id="c2", time=moment(T0), command="pause", target="fraud")
    store.inbox.put(msgspec.structs.replace(sound, id="c1"), T0)
    damage(url, "inbox", "body", FLIPPED, model=None)
    store.inbox.put(sound, T0 + 1)

    assert store.inbox.waiting() == [sound]
    assert store.inbox.answer("c1") == "refused: checksum does not match: the bytes are damaged"
    assert store.inbox.answer("c2") is None


def test_a_refused_record_whose_headers_cannot_be_read_is_left_out(store: Store, url: str) -> None:
    store.commit(checkpoint(own(store, P0)))
    damage(url, "dead_letters", "headers", FLIPPED, model=None)
    store.commit(replace(checkpoint(own(store, P0)), dead_letters=[dead_letter(offset=8)]))

    assert [each.offset for each in store.records.dead_letters()] == [8]


@DAMAGE
def test_a_version_whose_metrics_cannot_be_read_can_be_made_live(
    store: Store, url: str, blob: bytes
) -> None:
    version = ModelVersion(
        "fraud", "12", "candidate", T0, "sha256:1", "s3://m/12", metrics={"a": 0.9}
    )
    store.registry.register(version)
    damage(url, "versions", "metrics", blob)
    seen = msgspec.structs.replace(version, metrics={})

    with capture_logs() as logs:
        assert store.registry.versions("fraud") == [seen]
    assert store.registry.version("fraud", "12") == seen
    assert not store.registry.register(version)
    assert store.registry.set_live("fraud", "12", T0 + 1, "anna", "tested")
    assert [(each["part"], each["version"]) for each in logs] == [("metrics", "12")]


@DAMAGE
def test_a_job_whose_result_cannot_be_read_is_known_all_the_same(
    store: Store, url: str, blob: bytes
) -> None:
    ended, going = (
        Job(each, "fraud", "a-1", "retrain", "waiting", "/jobs/1", T0) for each in ("j-1", "j-2")
    )
    for each in (ended, going):
        store.jobs.add(each)
    store.jobs.end("j-1", "succeeded", T0 + 9, {"reason": "made"})
    damage(url, "jobs", "result", blob)

    found = store.jobs.get("j-1")

    assert found == msgspec.structs.replace(ended, state="succeeded", ended_at=T0 + 9)
    assert store.jobs.of_action("a-1") == [found, going]
    assert store.jobs.unfinished() == [going]
    assert not store.jobs.add(ended)
    assert store.jobs.end("j-2", "failed", T0 + 10, {"reason": "gone"})
