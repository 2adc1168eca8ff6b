from __future__ import annotations

from msgspec.structs import replace

from tests.daemon.demo.cases import START, action, incident
from watchkeeper.daemon.demo.faults import MINUTE, standard_script
from watchkeeper.daemon.demo.story import Line, Story
from watchkeeper.handlers.types import ActionState, IncidentState, Kind


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def story() -> Story:
    return Story(standard_script(START))


def test_the_clock_counts_hours_and_minutes_since_the_start() -> None:
    assert story().clock(START + 75 * MINUTE + 59) == "t+01:15"


def test_every_fault_and_the_season_are_told_once_when_they_begin() -> None:
    teller = story()
    told = [
        line
        for minute in range(256)
        for line in teller.tell(START + minute * MINUTE, [], [])
        if line.text.startswith(("injected", "harmless"))
    ]

    assert [line.at for line in told] == sorted(
        [f.start for f in teller.script.faults] + [teller.script.season.start]
    )


def test_healing_is_told_when_it_happens_and_not_for_a_version_that_stays() -> None:
    teller = story()
    healed = [
        line.text
        for minute in range(256)
        for line in teller.tell(START + minute * MINUTE, [], [])
        if line.text.startswith("healed")
    ]

    assert len(healed) == 4
    assert not any("v1" in text for text in healed)


def test_an_incident_is_told_when_it_opens_is_located_and_resolves() -> None:
    teller = story()
    opened = incident("fraud", START + 60)
    located = replace(opened, fault=replace(opened.fault, kind=Kind.DATA, place="merchant_age"))
    resolved = replace(located, state=IncidentState.RESOLVED)

    first = texts(teller.tell(START + 60, [opened], []))
    second = texts(teller.tell(START + 120, [located], []))
    third = teller.tell(START + 180, [resolved], [])

    assert first[0].startswith("opened (critical): fraud v1")
    assert second == ["located: fraud: data (merchant_age), 90% sure"]
    assert texts(third) == ["resolved: fraud: something happened"]
    assert third[0].tone == "good"


def test_nothing_new_is_not_told_again() -> None:
    teller = story()
    opened = incident("fraud", START + 60)
    held = action(opened, ActionState.HELD)
    teller.tell(START + 60, [opened], [held])

    assert teller.tell(START + 75, [opened], [held]) == []


def test_an_action_is_told_when_a_person_or_its_end_is_due() -> None:
    teller = story()
    about = incident("fraud", START + 60)
    teller.tell(START + 60, [about], [])
    states = (
        ActionState.PLANNED,
        ActionState.HELD,
        ActionState.PERMITTED,
        ActionState.STARTED,
        ActionState.SUCCESSFUL,
    )

    told = [
        line
        for state in states
        for line in teller.tell(START + 75, [about], [action(about, state, reason="because")])
    ]

    assert texts(told) == [
        "rollback held: fraud: go back from v2 to v1 (because)",
        "rollback successful: fraud: go back from v2 to v1 (because)",
    ]
    assert [line.tone for line in told] == ["ask", "good"]
