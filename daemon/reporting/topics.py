"""A step of the core as messages to Kafka topics. Pure but for `KafkaChannel`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.reporting.links import Links
from watchkeeper.daemon.reporting.messages import (
    ActionMessage,
    ModelMessage,
    action_message,
    health_of,
    incident_message,
)
from watchkeeper.daemon.storage.outbox import OK, Delivery
from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.codec.deadletter import DeadLetter, dead_letter_message
from watchkeeper.daemon.transport.codec.encode import encode
from watchkeeper.daemon.transport.ports import Headers, Message, Sink
from watchkeeper.detectors.types import Scalar, moment
from watchkeeper.handlers.types import Action, Incident


class TopicNames(msgspec.Struct, frozen=True):
    """The topics that are written."""

    incidents: str = "watchkeeper.incidents"
    incidents_state: str = "watchkeeper.incidents.state"
    actions: str = "watchkeeper.actions"
    models_state: str = "watchkeeper.models.state"
    dlq_prefix: str = "watchkeeper.dlq."


def rows_of(step: Step, names: TopicNames, links: Links, at: float) -> list[OutboxRow]:
    """Every change of the step, one message a topic; the same step gives the same ids."""
    rows: list[OutboxRow] = []
    for previous, incident in step.incident_changes:
        rows += _incident_rows(previous, incident, names, links, at)
    rows += [_action_row(each, names, at) for each in step.action_changes]
    return rows


def order(
    key: str,
    model: str,
    verb: str,
    args: Mapping[str, Scalar],
    names: TopicNames,
    time: datetime,
    expires_at: datetime,
) -> Message:
    """An order to the application that hosts the model; it obeys a `key` once, and not late."""
    payload = ActionMessage(
        "requested", key, model, time, verb=verb, args=dict(args), expires_at=expires_at
    )
    return encode(
        payload,
        topic=names.actions,
        type_="action.v1",
        id_=f"{key}:requested",
        time=time,
        key=model,
    )


def dead_letter_row(letter: DeadLetter, names: TopicNames, at: float) -> OutboxRow:
    """A refused record for its dead-letter topic."""
    record = letter.record
    message = dead_letter_message(letter, names.dlq_prefix)
    name = f"dlq:{record.topic}:{record.partition}:{record.offset}"
    return msgspec.structs.replace(_row(name, message, None, at), channel="dlq")


def _incident_rows(
    previous: Incident | None, incident: Incident, names: TopicNames, links: Links, at: float
) -> list[OutboxRow]:
    payload = incident_message(previous, incident, links)
    state = f"{incident.id}:{incident.revision}"
    time = moment(incident.updated_at)
    rows = []
    for topic in (names.incidents, names.incidents_state):
        message = encode(
            payload, topic=topic, type_="incident.v1", id_=state, time=time, key=incident.id
        )
        rows.append(_row(f"{state}:{topic}", message, incident.id, at))
    model = ModelMessage(
        model_name=incident.model,
        model_version=incident.version,
        health=health_of(incident),
        time=time,
        incident_id=incident.id if incident.open else None,
    )
    topic = names.models_state
    message = encode(model, topic=topic, type_="model.v1", id_=state, time=time, key=incident.model)
    return [*rows, _row(f"{state}:{topic}", message, incident.id, at)]


def _action_row(action: Action, names: TopicNames, at: float) -> OutboxRow:
    name = f"{action.id}:{action.state}:{action.updated_at!r}"
    message = encode(
        action_message(action),
        topic=names.actions,
        type_="action.v1",
        id_=name,
        time=moment(action.updated_at),
        key=action.model,
        correlation_id=action.incident_id,
    )
    return _row(f"{name}:{names.actions}", message, action.incident_id, at)


def _row(name: str, message: Message, incident_id: str | None, at: float) -> OutboxRow:
    return OutboxRow(
        id=name,
        channel="kafka",
        payload=message.value,
        created_at=at,
        topic=message.topic,
        key=message.key,
        headers=message.headers,
        incident_id=incident_id,
    )


class KafkaChannel:
    """Delivers outbox rows to a sink."""

    def __init__(self, sink: Sink, timeout: float = 30.0) -> None:
        self._sink = sink
        self._timeout = timeout

    def __call__(self, rows: Sequence[OutboxRow]) -> list[Delivery]:
        messages = [Message(r.topic, r.key, r.payload, _headers(r)) for r in rows]
        reasons = self._sink.publish(messages, self._timeout)
        return [OK if reason is None else Delivery("retry", reason) for reason in reasons]


def _headers(row: OutboxRow) -> Headers:
    """The message's own, and how many older messages it stands for."""
    if not row.collapsed:
        return row.headers
    return (*row.headers, ("ce_collapsed", str(row.collapsed).encode()))
