from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.templates import counts
from watchkeeper.detectors.templates.counts import RECORDS, FormCounts, forms_of
from watchkeeper.detectors.types import Partial

SAID = ["took 1 ms", "took 22 ms", "disk full", "a\x1fb", "", "x\ny"]
LINES = st.lists(st.tuples(st.sampled_from(SAID), st.booleans()), max_size=30)


def counted(lines: list[tuple[str, bool]]) -> FormCounts:
    return FormCounts.of([line for line, _ in lines], [wrong for _, wrong in lines])


def plain(part: Partial) -> dict[str, list[int]]:
    return {name: array.tolist() for name, array in part.items()}


def test_lines_are_counted_by_their_form() -> None:
    found = forms_of(counted([("took 1 ms", False), ("took 2 ms", True), ("disk full", True)]))

    assert [(each.form, each.n, each.errors) for each in found] == [
        ("disk full", 1, 1),
        ("took <*>", 2, 1),
    ]


def test_a_form_comes_with_a_line_to_show() -> None:
    (found,) = forms_of(counted([("password=abc for ann@example.com", False)]))

    assert found.line == "password=*** for ***"


@given(LINES, LINES, LINES)
def test_merging_gives_the_same_in_any_order(
    a: list[tuple[str, bool]], b: list[tuple[str, bool]], c: list[tuple[str, bool]]
) -> None:
    forth, back = FormCounts(), FormCounts()
    for lines in (a, b, c):
        forth.merge(counted(lines))
    for lines in (c, a, b):
        back.merge(counted(lines))

    assert plain(forth) == plain(back) == plain(counted(a + b + c))


@given(st.permutations(range(12)), st.integers(1, 11))
def test_beyond_the_limit_the_same_forms_are_left_in_any_order(order: list[int], cut: int) -> None:
    def part(numbers: list[int]) -> FormCounts:
        return counted([(f"{'abcdefghijkl'[i]}x happened", False) for i in numbers])

    before = counts.MOST_FORMS
    counts.MOST_FORMS = 4
    try:
        one = part(order[:cut])
        one.merge(part(order[cut:]))
        whole = part(list(range(12)))
    finally:
        counts.MOST_FORMS = before

    assert plain(one) == plain(whole)
    assert len(forms_of(one)) == 4
    assert one[RECORDS].tolist() == [12, 0]


def test_nothing_counts_nothing() -> None:
    assert forms_of(FormCounts.of([], [])) == []
    assert forms_of({}) == []
