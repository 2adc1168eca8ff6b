"""A page has all that a person needs, and the same news has the same id."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.daemon.storage.examples import T0, action, finding, incident
from watchkeeper.daemon.reporting.links import FIRST_STEPS, Links
from watchkeeper.daemon.reporting.pages import BlankPage, Page, event_for, occasion, page_of
from watchkeeper.detectors.types import Change, Severity, moment
from watchkeeper.handlers.types import ActionState, Incident, IncidentState, Kind, Note

S = IncidentState


def event(
    now: Incident, before: Incident | None = None, *actions: Any, **options: Any
) -> dict[str, Any]:
    made = event_for(now, before, actions, **options)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (incident(), None, "opened"),
        (incident(revision=2), incident(), None),
        (incident(revision=2), incident(severity=Severity.WARNING), "escalated"),
        (incident(revision=2, severity=Severity.WARNING), incident(), None),
        (incident(revision=2, kind=Kind.DATA), incident(), "verdict"),
        (incident(state=S.ACKNOWLEDGED, revision=2), incident(), None),
        (incident(state=S.MITIGATING, revision=2), incident(), None),
        (incident(state=S.VERIFYING, revision=3), incident(state=S.MITIGATING), None),
        (incident(state=S.OPEN, revision=4), incident(state=S.VERIFYING), "handover"),
        (incident(state=S.RESOLVED, revision=5), incident(), "resolved"),
        (incident(state=S.RESOLVED, revision=6), incident(state=S.RESOLVED), None),
        (incident(state=S.REGRESSED, revision=6), incident(state=S.RESOLVED), "regressed"),
        (incident(state=S.REGRESSED, revision=7), incident(state=S.REGRESSED), None),
    ],
)
def test_only_news_is_told(now: Incident, before: Incident | None, expected: str | None) -> None:
    assert occasion(now, before, []) == expected
    assert (event_for(now, before, []) is None) == (expected is None)


def test_a_hold_is_told_once_however_long_it_lasts() -> None:
    waiting = action(state=ActionState.HELD)

    first = event(incident(revision=2), incident(), waiting)
    later = event(incident(revision=3), incident(revision=2), waiting)

    assert first["tags"]["occasion"] == "approval"
    assert first["event_id"] == later["event_id"]


def test_the_same_state_has_the_same_id_and_another_has_another() -> None:
    resolved = incident(state=S.RESOLVED, revision=5)
    again = incident(state=S.RESOLVED, revision=9)
    opened, repeated = event(incident()), event(incident())
    ids = {
        opened["event_id"],
        event(incident(revision=2), incident(severity=Severity.WARNING))["event_id"],
        event(incident(revision=2, kind=Kind.DATA), incident())["event_id"],
        event(resolved, incident())["event_id"],
        event(again, incident())["event_id"],
        event(incident(opened_at=T0 + 1))["event_id"],
    }

    assert opened["event_id"] == repeated["event_id"]
    assert len(ids) == 6
    assert all(uuid.UUID(each).hex == each for each in ids)


def test_all_events_of_an_incident_make_one_issue() -> None:
    opened = event(incident())
    resolved = event(incident(state=S.RESOLVED, revision=2), incident())

    assert opened["fingerprint"] == resolved["fingerprint"] == ["watchkeeper", incident().id]


@pytest.mark.parametrize(
    ("severity", "level"), [(Severity.CRITICAL, "fatal"), (Severity.WARNING, "warning")]
)
def test_the_level_is_the_severitys(severity: Severity, level: str) -> None:
    assert event(incident(severity=severity))["level"] == level
    resolved = incident(state=S.RESOLVED, severity=severity, revision=2)
    assert event(resolved, incident(severity=severity))["level"] == "info"


@pytest.mark.parametrize("name", Page.__struct_fields__)
def test_a_page_with_a_blank_is_refused(name: str) -> None:
    page = page_of(incident(), [])
    blank = ("", " ") if name == "evidence" else " \n"

    with pytest.raises(BlankPage, match=name):
        replace(page, **{name: blank})


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("state", IncidentState)
def test_every_incident_makes_a_whole_page(kind: Kind, state: IncidentState) -> None:
    page = page_of(incident(kind=kind, state=state), [])

    assert page.runbook == FIRST_STEPS[kind]


def test_a_page_says_what_is_asked_of_its_reader() -> None:
    waiting = action(state=ActionState.HELD, reason="mode is ask")
    change = Change(
        id="c1",
        time=moment(T0 - 300),
        model_name="fraud",
        kind="deployment",
        model_version="13",
        description="new scaler",
    )
    late = replace(change, time=moment(T0 + 300), description="the repair")

    page = page_of(incident(), [waiting], changes=[change, late])

    assert "fraud 13" in page.title
    assert "UTC" in page.title
    assert "25%" in page.impact
    assert "model (13), 80% sure" in page.verdict
    assert "ruled out: attack" in page.verdict
    assert "threshold 12.5 against 0.1" in page.evidence[0]
    assert "new scaler" in page.changes
    assert "the repair" not in page.changes
    assert "mode is ask" in page.action
    assert "if nobody answers, nothing is done" in page.action
    assert f"watchkeeper action approve {waiting.id}" in page.answer
    assert incident().id in page.resolves


def test_links_of_the_user_are_filled_in() -> None:
    links = Links(
        external_url="https://wk.example.org/",
        runbook="https://docs.example.org/{kind}",
        dashboard="https://graphs.example.org/?model={model}&from={from_ms}",
    )

    page = page_of(incident(), [], links)

    assert page.runbook == "https://docs.example.org/model"
    assert page.dashboard.startswith("https://graphs.example.org/?model=fraud&from=1789")
    linked = event(incident(), None, links=links)["contexts"]["links"]
    assert linked["incident"] == f"https://wk.example.org/api/v1/incidents/{incident().id}"


def test_tags_are_few_short_and_of_one_line() -> None:
    long = replace(incident(), version="v\n" + "x" * 500)

    tags = event(long)["tags"]

    assert len(tags) <= 12
    assert all(0 < len(value) <= 200 and "\n" not in value for value in tags.values())
    assert all(len(name) <= 32 for name in tags)


def test_an_event_is_bounded_however_much_was_found() -> None:
    many = tuple(finding(T0 + i, target="t" * 500) for i in range(500))
    notes = tuple(replace(incident().timeline[0], text="n" * 500) for _ in range(500))
    big = replace(incident(), findings=many, timeline=notes, title="t" * 5_000)

    encoded = msgspec.json.encode(event(big))

    assert len(encoded) < 200_000
    assert len(event(big)["breadcrumbs"]["values"]) <= 50


def test_a_finding_without_a_normal_value_is_no_trouble() -> None:
    encoded = msgspec.json.encode(event(incident()))

    assert b"NaN" not in encoded
    assert b"nan" not in encoded


def located(*kinds: Kind) -> Incident:
    """An incident whose kind of fault was said to be one after the other."""
    notes = tuple(Note(T0, f"located: {each} (13), 80% sure") for each in kinds)
    return replace(incident(kind=kinds[-1], revision=len(kinds)), timeline=notes)


def test_a_verdict_that_goes_back_is_told_again() -> None:
    there = event(located(Kind.DATA, Kind.MODEL), located(Kind.DATA))
    back = event(located(Kind.DATA, Kind.MODEL, Kind.DATA), located(Kind.DATA, Kind.MODEL))
    again = event(
        located(Kind.DATA, Kind.MODEL, Kind.DATA, Kind.MODEL),
        located(Kind.DATA, Kind.MODEL, Kind.DATA),
    )

    assert len({each["event_id"] for each in (there, back, again)}) == 3


def test_a_verdict_that_swings_to_and_fro_is_told_five_times() -> None:
    swings = [Kind.DATA, Kind.MODEL] * 10

    told = [
        n
        for n in range(1, len(swings))
        if occasion(located(*swings[: n + 1]), located(*swings[:n]), []) == "verdict"
    ]

    assert told == [1, 2, 3, 4, 5]
