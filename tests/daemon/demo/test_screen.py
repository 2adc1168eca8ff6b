from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.daemon.demo.cases import START, action, incident
from watchkeeper.daemon.demo.fleet import Vitals
from watchkeeper.daemon.demo.scorecard import Case, FalsePage, total
from watchkeeper.daemon.demo.screen import Plain, Terminal, fleet_table, score_table
from watchkeeper.daemon.demo.story import Line
from watchkeeper.handlers.types import ActionState, Kind

VITALS = {
    "fraud": Vitals("v2", 280.0, 0.012, 0.04, 0.46),
    "image": Vitals("v3"),
}


def console() -> Console:
    return Console(file=io.StringIO(), width=140, force_terminal=False)


def shown(made: Console) -> str:
    assert isinstance(made.file, io.StringIO)
    return made.file.getvalue()


def test_the_fleet_table_shows_numbers_and_the_open_incident() -> None:
    out = console()

    out.print(
        fleet_table("t+01:00", VITALS, [incident("fraud", START, kind=Kind.DATA, place="age")])
    )

    text = shown(out)
    assert "t+01:00" in text
    assert "40 ms" in text
    assert "1.2%" in text
    assert "open: data age" in text
    assert "healthy" in text


def test_a_resolved_incident_leaves_the_model_healthy() -> None:
    out = console()

    out.print(fleet_table("t+01:00", VITALS, [incident("fraud", START, resolved_at=START + 60)]))

    assert shown(out).count("healthy") == 2


def test_the_score_table_sums_up_and_names_false_pages() -> None:
    out = console()
    good = Case(
        "nulls", "fraud", Kind.DATA, True, True, True, Kind.DATA, "", "inc-1", 90.0, 1_320.0
    )
    page = FalsePage("inc-2", "churn", "churn v7: nothing at all", START)

    out.print(score_table(total((good,), (page,), 12.0, 3_600.0)))

    text = shown(out)
    assert "found 1/1, located 1/1, handled 1/1, false pages 1, mean delay 1.5 min" in text
    assert "22.0 min" in text
    assert "churn v7: nothing at all" in text


def test_plain_lines_go_to_stderr_and_leave_stdout_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Plain().say("t+00:01", Line(START, "injected: something"))

    captured = capsys.readouterr()
    assert captured.err == "t+00:01 injected: something\n"
    assert captured.out == ""


def test_without_a_person_only_yes_approves() -> None:
    held = action(incident("fraud", START), ActionState.HELD)

    assert Plain(yes=True).ask(held) is True
    assert Plain(yes=False).ask(held) is None


def test_the_terminal_keeps_the_newest_lines_in_sight() -> None:
    out = Console(file=io.StringIO(), width=120, force_terminal=True)
    terminal = Terminal(console=out)
    for i in range(40):
        terminal.say("t+00:00", Line(START, f"line {i:02d}"))

    terminal.show("t+00:00", VITALS, [])
    terminal.close()

    text = shown(out)
    assert "line 39" in text
    assert "line 10" not in text


@pytest.mark.parametrize(("typed", "answer"), [("y\n", True), ("\n", True), ("n\n", False)])
def test_the_terminal_asks_before_a_held_action(
    monkeypatch: pytest.MonkeyPatch, typed: str, answer: bool
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))

    asked = Terminal(console=console()).ask(action(incident("fraud", START), ActionState.HELD))

    assert asked is answer


def test_a_closed_keyboard_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    asked = Terminal(console=console()).ask(action(incident("fraud", START), ActionState.HELD))

    assert asked is None
