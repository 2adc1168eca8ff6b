"""Webhooks get each change once per key, and a dead address does not hold up the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from tests.daemon.reporting.answering import Answering, answering
from tests.daemon.storage.examples import letter
from tests.services.base import free_ports
from watchkeeper.daemon.reporting.webhook import WebhookChannel


@pytest.fixture
def server() -> Iterator[Answering]:
    with answering() as state:
        yield state


@pytest.fixture
def channel() -> Iterator[WebhookChannel]:
    made = WebhookChannel()
    yield made
    made.close()


def test_a_change_is_posted_with_its_key(server: Answering, channel: WebhookChannel) -> None:
    row = replace(letter("inc-1:2"), topic=f"http://127.0.0.1:{server.port}/hook")

    (delivery,) = channel([row])

    assert delivery.outcome == "ok"
    assert server.bodies == [row.payload]
    assert server.headers[0]["Idempotency-Key"] == "inc-1:2"
    assert server.headers[0]["Content-Type"] == "application/json"


def test_a_change_says_how_many_older_ones_it_stands_for(
    server: Answering, channel: WebhookChannel
) -> None:
    row = replace(letter("inc-1:9"), topic=f"http://127.0.0.1:{server.port}/hook")

    channel([row, replace(row, id="inc-2:9", collapsed=7)])

    assert [each.get("Watchkeeper-Collapsed") for each in server.headers] == [None, "7"]


@pytest.mark.parametrize(
    ("status", "outcome"), [(204, "ok"), (302, "retry"), (404, "retry"), (422, "blocked")]
)
def test_every_answer_has_its_consequence(
    server: Answering, channel: WebhookChannel, status: int, outcome: str
) -> None:
    server.plan = [(status, {"Location": "/elsewhere"})]
    row = replace(letter(), topic=f"http://127.0.0.1:{server.port}/hook")

    (delivery,) = channel([row])

    assert delivery.outcome == outcome
    assert len(server.bodies) == 1


def test_a_dead_address_is_tried_once_a_batch(server: Answering, channel: WebhookChannel) -> None:
    dead = f"http://127.0.0.1:{free_ports(1)[0]}/hook"
    alive = f"http://127.0.0.1:{server.port}/hook"
    rows = [replace(letter(f"m{i}"), topic=url) for i, url in enumerate((dead, alive, dead))]

    deliveries = channel(rows)

    assert [each.outcome for each in deliveries] == ["retry", "ok", "retry"]
    assert deliveries[0] is deliveries[2]
