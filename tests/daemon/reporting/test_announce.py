"""One step tells each audience what it needs, once."""

from __future__ import annotations

import msgspec
import pytest

from tests.daemon.storage.examples import T0, action, incident
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.reporting.announce import Audience, announce
from watchkeeper.daemon.reporting.links import Links
from watchkeeper.daemon.reporting.messages import (
    ActionMessage,
    IncidentMessage,
    ModelMessage,
    change_of,
    incident_message,
)
from watchkeeper.daemon.reporting.topics import TopicNames, order
from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.codec.deadletter import DeadLetter
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.detectors.types import Severity, moment
from watchkeeper.handlers.types import ActionState, Incident, IncidentState

S = IncidentState
HOOK = "https://example.org/hook"


def opened() -> Step:
    step = Step()
    step.note("fraud", [action(state=ActionState.HELD)], None, incident())
    return step


def by_topic(rows: list[OutboxRow]) -> dict[str, list[OutboxRow]]:
    found: dict[str, list[OutboxRow]] = {}
    for row in rows:
        found.setdefault(row.topic or row.channel, []).append(row)
    return found


def test_each_audience_is_told_of_an_opened_incident() -> None:
    audience = Audience(sentry=True, webhooks=(HOOK,))

    rows = by_topic(announce(opened(), audience, T0))

    names = TopicNames()
    assert {topic: len(each) for topic, each in rows.items()} == {
        names.incidents: 1,
        names.incidents_state: 1,
        names.models_state: 1,
        names.actions: 1,
        "sentry": 1,
        HOOK: 1,
    }
    assert all(each.incident_id == incident().id for group in rows.values() for each in group)


def test_who_is_left_out_is_told_nothing() -> None:
    assert announce(opened(), Audience(topics=None), T0) == []
    assert announce(Step(), Audience(sentry=True, webhooks=(HOOK,)), T0) == []


def test_the_same_step_has_the_same_ids() -> None:
    audience = Audience(sentry=True, webhooks=(HOOK,))

    first, second = (announce(opened(), audience, at) for at in (T0, T0 + 9))

    assert [row.id for row in first] == [row.id for row in second]
    assert len({row.id for row in first}) == len(first)


def test_an_id_does_not_tell_the_address_of_a_webhook() -> None:
    rows = announce(opened(), Audience(topics=None, webhooks=(HOOK, HOOK + "2")), T0)

    assert len({row.id for row in rows}) == 2
    assert not any("example.org" in row.id for row in rows)


def test_every_revision_goes_to_kafka_but_only_news_to_sentry() -> None:
    step = opened()
    step.note("fraud", [], incident(), incident(revision=2, state=S.ACKNOWLEDGED))
    step.note("fraud", [], incident(revision=2), incident(revision=3, state=S.RESOLVED))

    rows = by_topic(announce(step, Audience(sentry=True), T0))

    messages = [
        msgspec.json.decode(each.payload or b"", type=IncidentMessage)
        for each in rows[TopicNames().incidents]
    ]
    assert [each.change for each in messages] == ["opened", "acknowledged", "resolved"]
    assert len(rows["sentry"]) == 3  # opened with the action held, the hold, resolved


def test_an_incident_message_is_keyed_and_typed_as_a_cloud_event() -> None:
    row = by_topic(announce(opened(), Audience(), T0))[TopicNames().incidents][0]
    headers = dict(row.headers)

    assert row.key == incident().id.encode()
    assert headers["ce_type"] == b"watchkeeper.incident.v1"
    assert headers["ce_id"] == f"{incident().id}:1".encode()


def test_an_incident_message_reads_back_without_nan() -> None:
    message = incident_message(None, incident(), Links())
    encoded = msgspec.json.encode(message)
    plain = msgspec.json.decode(encoded)

    assert plain["fault"]["class"] == "model"
    assert plain["evidence"][0]["expected"] is None
    assert plain["scope"]["features"] == ["f1"]
    assert plain["detected_at"] == moment(T0).isoformat().replace("+00:00", "Z")


def test_a_model_is_faulty_until_its_incident_is_resolved() -> None:
    step = opened()
    step.note("fraud", [], incident(), incident(revision=2, state=S.RESOLVED))

    rows = by_topic(announce(step, Audience(), T0))[TopicNames().models_state]

    said = [msgspec.json.decode(each.payload or b"", type=ModelMessage) for each in rows]
    assert [each.health for each in said] == ["faulty", "healthy"]
    assert [each.incident_id for each in said] == [incident().id, None]
    assert {each.key for each in rows} == {b"fraud"}


def test_every_transition_of_an_action_is_told() -> None:
    step = Step()
    states = [ActionState.PLANNED, ActionState.HELD, ActionState.PERMITTED]
    step.note("fraud", [action(state=each) for each in states], None, None)

    rows = by_topic(announce(step, Audience(), T0))[TopicNames().actions]

    said = [msgspec.json.decode(each.payload or b"", type=ActionMessage) for each in rows]
    assert [each.change for each in said] == ["planned", "held", "permitted"]
    assert said[0].args == action().args


def test_an_order_is_what_an_application_obeys() -> None:
    message = order(
        "act-1", "fraud", "switch", {"version": "12"}, TopicNames(), moment(T0), moment(T0 + 65)
    )

    said = msgspec.json.decode(message.value or b"", type=ActionMessage)
    assert (said.change, said.action_id, said.verb) == ("requested", "act-1", "switch")
    assert said.args == {"version": "12"}
    assert said.expires_at == moment(T0 + 65)
    assert message.key == b"fraud"


def test_a_refused_record_goes_to_its_dead_letter_topic() -> None:
    record = Record("predictions", 3, 7, T0, b"fraud", b"{", ())
    dead = [DeadLetter(record, "syntax", "$", "no JSON")]

    (row,) = announce(Step(), Audience(), T0, dead=dead)

    assert row.channel == "dlq"
    assert row.topic == "watchkeeper.dlq.predictions"
    assert row.id == "dlq:predictions:3:7"
    assert row.payload == b"{"


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (None, incident(), "opened"),
        (incident(), incident(severity=Severity.WARNING), "updated"),
        (incident(), incident(state=S.VERIFYING), "updated"),
        (incident(state=S.RESOLVED), incident(state=S.REGRESSED), "regressed"),
    ],
)
def test_a_change_has_a_word(before: Incident | None, after: Incident, change: str) -> None:
    assert change_of(before, after) == change
