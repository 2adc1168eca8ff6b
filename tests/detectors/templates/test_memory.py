from __future__ import annotations

from collections.abc import Sequence

from watchkeeper.detectors.templates.counts import Form
from watchkeeper.detectors.templates.memory import LogMemory


def forms(*said: str, n: int = 1) -> Sequence[Form]:
    return [Form(each, n, 0, f"{each}!") for each in said]


def test_a_template_is_new_once() -> None:
    memory = LogMemory()

    new = [memory.take(2, forms("disk full", "pump off")).new for _ in range(2)]

    assert new == [[0, 1], []]


def test_lines_without_a_row_are_missed() -> None:
    memory = LogMemory()

    whole = [memory.take(n, forms("disk full", n=4)).whole for n in (4, 5)]

    assert whole == [True, False]


def test_templates_that_become_one_have_the_counts_and_lines_of_all() -> None:
    memory = LogMemory()
    for name in ("anna", "bert", "carl", "dora"):
        memory.take(1, forms(f"moved {name} to archive"))

    taken = memory.take(1, forms("moved emil to archive"))

    assert set(taken.gone) == {1, 2, 3, 4}
    assert memory.history.lines[memory.history.rows[0]] == 5
    assert memory.examples == {0: ["moved anna to archive!", "moved emil to archive!"]}


def test_errors_among_new_templates_are_counted_apart() -> None:
    memory = LogMemory()
    taken = memory.take(3, [Form("disk full", 2, 1, ""), Form("pump off", 1, 0, "")])

    memory.count(taken)

    assert memory.recent == [2.0, 1.0, 3.0]
    assert (memory.windows, memory.lines) == (1, 3)
