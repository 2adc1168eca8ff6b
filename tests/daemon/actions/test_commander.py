"""Orders go out as often as asked for, answers are waited for, odd answers refused."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from watchkeeper.daemon.actions.commander import ANSWERS_LIMIT, MARGIN_S, OutboxCommander
from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.ports import Message
from watchkeeper.detectors.types import Command, Scalar, moment
from watchkeeper.handlers.types import Phase


def made(key: str, model: str, verb: str, args: Mapping[str, Scalar], expires_at: float) -> Message:
    return Message("actions", model.encode(), f"{key} {verb} {dict(args)}".encode())


def answer(key: str, phase: str = "successful") -> Command:
    return Command(
        id=f"a-{key}",
        time=moment(5.0),
        command="outcome",
        target=key,
        model_name="m",
        args={"phase": phase, "reason": "did it"},
    )


def commander() -> tuple[OutboxCommander, list[OutboxRow]]:
    kept: list[OutboxRow] = []

    def put(rows: Sequence[OutboxRow]) -> None:
        kept.extend(rows)

    return OutboxCommander(made, put, lambda: 1.0), kept


def test_an_order_asked_for_twice_is_published_twice_under_one_key() -> None:
    asked, kept = commander()

    asked.request("act-1", "m", "switch", {"version": "1"}, 60.0)
    asked.request("act-1", "m", "switch", {"version": "1"}, 60.0)

    assert len({row.id for row in kept}) == 2
    assert {row.payload for row in kept} == {b"act-1 switch {'version': '1'}"}


def test_an_order_expires_soon_after_nobody_waits_for_its_answer() -> None:
    asked, kept = commander()

    asked.request("act-1", "m", "switch", {}, 60.0)

    assert kept[0].expires_at == 1.0 + 60.0 + MARGIN_S


def test_the_answer_wakes_who_waits_for_it() -> None:
    asked, _ = commander()
    asked.request("act-1", "m", "switch", {}, 60.0)
    threading.Timer(0.05, asked.answered, [answer("act-1")]).start()

    got = asked.answer("act-1", timeout=10.0)

    assert got is not None
    assert got.phase is Phase.SUCCESSFUL
    assert got.reason == "did it"


def test_no_answer_in_time_is_none() -> None:
    asked, _ = commander()
    asked.answered(answer("another"))

    assert asked.answer("act-1", timeout=0.01) is None


def test_an_old_answer_is_not_taken_for_a_new_order() -> None:
    asked, _ = commander()
    asked.answered(answer("act-1"))

    asked.request("act-1", "m", "switch", {}, 60.0)

    assert asked.answer("act-1", timeout=0.01) is None


def test_an_unknown_phase_is_refused() -> None:
    asked, _ = commander()

    assert asked.answered(answer("act-1", "great")) == "refused: no such phase 'great'"
    assert asked.answer("act-1", timeout=0.0) is None


def test_answers_nobody_asked_for_are_bounded() -> None:
    asked, _ = commander()

    for i in range(ANSWERS_LIMIT + 5):
        asked.answered(answer(f"k{i}"))

    assert asked.answer("k0", timeout=0.0) is None
    assert asked.answer(f"k{ANSWERS_LIMIT + 4}", timeout=0.0) is not None
