"""Everything that one step of the core has to tell, as rows for the outbox. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.reporting.links import Links
from watchkeeper.daemon.reporting.messages import incident_message
from watchkeeper.daemon.reporting.pages import event_for
from watchkeeper.daemon.reporting.topics import TopicNames, dead_letter_row, rows_of
from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.codec.deadletter import DeadLetter
from watchkeeper.detectors.types import Change
from watchkeeper.handlers.types import Action, Incident


class Audience(msgspec.Struct, frozen=True):
    """Who is told: Kafka topics, Sentry, webhooks; each can be left out."""

    topics: TopicNames | None = TopicNames()
    sentry: bool = False
    webhooks: tuple[str, ...] = ()
    links: Links = Links()


def announce(
    step: Step,
    audience: Audience,
    at: float,
    actions: Mapping[str, Action] | None = None,
    changes: Mapping[str, Sequence[Change]] | None = None,
    dead: Sequence[DeadLetter] = (),
) -> list[OutboxRow]:
    """The rows of a step; the same step gives the same ids, so telling it twice tells it once.

    `actions` are all that are known, by id (those of the step are added), `changes` the known
    ones of each model; both only make pages fuller. `at` is the wall clock.
    """
    known = {**(actions or {}), **step.actions}
    rows: list[OutboxRow] = []
    if audience.topics is not None:
        rows += rows_of(step, audience.topics, audience.links, at)
        rows += [dead_letter_row(each, audience.topics, at) for each in dead]
    for previous, incident in step.incident_changes:
        if audience.sentry:
            ours = [each for each in known.values() if each.incident_id == incident.id]
            near = (changes or {}).get(incident.model, ())
            rows += _page(incident, previous, ours, audience.links, near, at)
        for url in audience.webhooks:
            rows.append(_hook(incident, previous, audience.links, url, at))
    return rows


def _page(
    incident: Incident,
    previous: Incident | None,
    actions: Sequence[Action],
    links: Links,
    changes: Sequence[Change],
    at: float,
) -> list[OutboxRow]:
    event = event_for(incident, previous, actions, links, changes)
    if event is None:
        return []
    return [
        OutboxRow(
            id=f"sentry:{event['event_id']}",
            channel="sentry",
            payload=msgspec.json.encode(event),
            created_at=at,
            incident_id=incident.id,
        )
    ]


def _hook(
    incident: Incident, previous: Incident | None, links: Links, url: str, at: float
) -> OutboxRow:
    return OutboxRow(
        id=f"{incident.id}:{incident.revision}:{_name(url)}",
        channel="webhook",
        payload=msgspec.json.encode(incident_message(previous, incident, links)),
        created_at=at,
        topic=url,
        incident_id=incident.id,
    )


def _name(url: str) -> str:
    """What tells an address from others without telling it: ids are logged and sent."""
    return hashlib.blake2b(url.encode(), digest_size=8).hexdigest()
