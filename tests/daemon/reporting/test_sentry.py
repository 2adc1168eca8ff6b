"""Pages reach Sentry once, and its answer decides what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from msgspec.structs import replace

from tests.daemon.reporting.answering import Answering, answering
from tests.daemon.storage.examples import T0, action, incident
from tests.services.base import free_ports
from tests.services.bugsink import Project
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.reporting.announce import Audience, announce
from watchkeeper.daemon.reporting.sentry import SentryReporter
from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.detectors.types import Severity
from watchkeeper.handlers.types import ActionState, IncidentState


def pages() -> list[OutboxRow]:
    """Opened, escalated, resolved."""
    warned = incident(severity=Severity.WARNING)
    escalated = incident(revision=2)
    step = Step()
    step.note("fraud", [], None, warned)
    step.note("fraud", [action(state=ActionState.SUCCESSFUL)], warned, escalated)
    step.note("fraud", [], escalated, incident(revision=3, state=IncidentState.RESOLVED))
    return announce(step, Audience(topics=None, sentry=True), T0)


@pytest.fixture
def server() -> Iterator[Answering]:
    with answering() as state:
        yield state


@pytest.fixture
def reporter(server: Answering) -> Iterator[SentryReporter]:
    made = SentryReporter(server.dsn, "test", "watchkeeper@0", "here")
    yield made
    made.close()


def test_the_envelope_holds_our_event_and_nothing_of_the_process(
    server: Answering, reporter: SentryReporter
) -> None:
    row = pages()[0]

    (delivery,) = reporter([row])

    assert delivery.outcome == "ok"
    head, _, body = server.bodies[0].splitlines()[:3]
    sent, planned = msgspec.json.decode(body), msgspec.json.decode(row.payload or b"")
    assert msgspec.json.decode(head)["event_id"] == planned["event_id"]
    assert sent["release"] == "watchkeeper@0"
    assert sent["environment"] == "test"
    assert sent["tags"]["daemon.instance"] == "here"
    assert sent["fingerprint"] == ["watchkeeper", incident().id]
    assert sent["contexts"]["page"] == planned["contexts"]["page"]
    assert sent["breadcrumbs"] == planned["breadcrumbs"]
    assert "modules" not in sent
    assert "sys.argv" not in str(sent)
    assert "sentry_key=key" in server.headers[0]["X-Sentry-Auth"]


@pytest.mark.parametrize(
    ("status", "headers", "outcome", "after"),
    [
        (200, {}, "ok", None),
        (202, {}, "ok", None),
        (400, {}, "blocked", None),
        (401, {}, "retry", None),
        (403, {}, "retry", None),
        (413, {}, "blocked", None),
        (429, {}, "retry", 60.0),
        (429, {"Retry-After": "7"}, "retry", 7.0),
        (429, {"Retry-After": "7", "X-Sentry-Rate-Limits": "30:error:key"}, "retry", 30.0),
        (429, {"X-Sentry-Rate-Limits": "5:transaction:key, 9::key"}, "retry", 9.0),
        (429, {"X-Sentry-Rate-Limits": "5:transaction:key"}, "retry", 60.0),
        (429, {"Retry-After": "99999999"}, "retry", 3600.0),
        (429, {"Retry-After": "nan"}, "retry", 60.0),
        (503, {}, "retry", None),
        (302, {"Location": "/elsewhere"}, "retry", None),
    ],
)
def test_every_answer_has_its_consequence(
    server: Answering,
    reporter: SentryReporter,
    status: int,
    headers: dict[str, str],
    outcome: str,
    after: float | None,
) -> None:
    server.plan = [(status, headers)]

    (delivery,) = reporter(pages()[:1])

    assert (delivery.outcome, delivery.after) == (outcome, after)
    assert (str(status) in delivery.reason) == (outcome != "ok")


def test_after_a_failure_the_rest_waits_untried(
    server: Answering, reporter: SentryReporter
) -> None:
    server.plan = [(200, {}), (503, {})]

    deliveries = reporter(pages())

    assert [each.outcome for each in deliveries] == ["ok", "retry", "retry"]
    assert len(server.bodies) == 2


def test_a_refused_page_does_not_stop_the_next(server: Answering, reporter: SentryReporter) -> None:
    server.plan = [(413, {})]

    assert [each.outcome for each in reporter(pages())] == ["blocked", "ok", "ok"]


def test_a_server_that_is_not_there_is_tried_again() -> None:
    reporter = SentryReporter(f"http://key@127.0.0.1:{free_ports(1)[0]}/1", "test", "r")

    (delivery, *_) = reporter(pages())
    reporter.close()

    assert delivery.outcome == "retry"


def test_a_late_page_says_so(server: Answering, reporter: SentryReporter) -> None:
    reporter([replace(pages()[0], attempts=3, collapsed=2)])

    sent = msgspec.json.decode(server.bodies[0].splitlines()[2])
    assert "stands for 2 older events" in sent["contexts"]["delivery"]["note"]
    assert sent["tags"]["delivery"] == "delayed"


def test_a_crash_of_our_own_is_told_without_local_variables(
    server: Answering, reporter: SentryReporter
) -> None:
    secret = "the features of a customer"
    try:
        raise RuntimeError(f"{len(secret)} bytes too many")
    except RuntimeError as error:
        delivery = reporter.crash(error)

    assert delivery.outcome == "ok"
    assert b"26 bytes too many" in server.bodies[0]
    sent = msgspec.json.decode(server.bodies[0].splitlines()[2])
    assert sent["tags"]["kind"] == "daemon"
    assert all("vars" not in f for f in sent["exception"]["values"][0]["stacktrace"]["frames"])


@pytest.mark.parametrize("dsn", ["nonsense", "http://127.0.0.1/1", "http://key@127.0.0.1/"])
def test_a_dsn_that_is_none_is_refused(dsn: str) -> None:
    with pytest.raises(ValueError, match="not a Sentry DSN"):
        SentryReporter(dsn, "test", "r")


@pytest.mark.service
def test_one_incident_is_one_issue_and_no_state_comes_twice(bugsink: Project) -> None:
    reporter = SentryReporter(bugsink.dsn, "test", "watchkeeper@0")

    first = reporter(pages())
    second = reporter(pages())
    reporter.close()

    assert [each.outcome for each in first] == ["ok", "ok", "ok"]
    assert {each.outcome for each in second} <= {"ok", "blocked"}
    (issue,) = bugsink.issues()
    events = [bugsink.event(each).data for each in bugsink.events(issue)]
    assert sorted(str(each["level"]) for each in events) == ["fatal", "info", "warning"]
