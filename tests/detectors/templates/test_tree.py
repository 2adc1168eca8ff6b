from __future__ import annotations

import copy

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.detectors.templates.masks import form_of
from watchkeeper.detectors.templates.tree import TemplateTree
from watchkeeper.detectors.types import StateError

NAMES = ["anna", "bert", "carl", "dora", "emil", "fritz", "gerd", "hans"]
WORDS = st.sampled_from(
    [
        "open",
        "close",
        "read",
        "<*>",
        "disk",
        "RUNNING",
        "STOPPED",
        "user=",
        "=",
        "at",
        "ok",
        '"q x"',
    ]
)
FORMS = st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=60)


def numbers(tree: TemplateTree, forms: list[str]) -> list[int]:
    """The template of each form once all are known."""
    found = [tree.add(form) for form in forms]
    became = dict(tree.take_merged())
    for i, number in enumerate(found):
        while number in became:
            number = became[number]
        found[i] = number
    return found


def test_a_word_with_many_values_is_a_variable() -> None:
    tree = TemplateTree()

    found = numbers(tree, [f"moved {name} to archive" for name in NAMES])

    assert len(set(found)) == 1
    assert tree.text(found[0]) == "moved <*> to archive"


def test_a_word_with_few_values_tells_statements_apart() -> None:
    found = numbers(TemplateTree(), ["link eth<*> is up", "link eth<*> is down"] * 50)

    assert len(set(found)) == 2


def test_states_tell_statements_apart() -> None:
    states = ["NEW", "READY", "RUNNING", "WAITING", "BLOCKED", "DONE"]

    found = numbers(TemplateTree(), [f"task <*> is now {state}" for state in states])

    assert len(set(found)) == len(states)


def test_the_first_word_is_never_a_variable() -> None:
    found = numbers(TemplateTree(), [f"{name} startup succeeded" for name in NAMES])

    assert len(set(found)) == len(NAMES)


def test_a_place_where_a_value_was_met_takes_words() -> None:
    found = numbers(TemplateTree(), ["synchronized to <*>", "synchronized to LOCAL(<*>)"])

    assert len(set(found)) == 1


def test_a_form_joins_words_that_came_before_its_value() -> None:
    found = numbers(TemplateTree(), ["synchronized to pool", "synchronized to <*>"])

    assert len(set(found)) == 1


def test_variables_that_change_together_are_found_once_there_are_enough() -> None:
    forms = [f"linked class {a} with {b} for good" for a, b in zip(NAMES, NAMES[::-1], strict=True)]

    tree = TemplateTree()
    found = numbers(tree, forms)

    assert len(set(found)) == 1
    assert tree.text(found[0]) == "linked class <*> with <*> for good"


def test_lists_of_any_length_are_one_statement() -> None:
    found = numbers(TemplateTree(), ["drop " + "blk_<*> " * n for n in range(1, 9)])

    assert len(set(found)) == 1


def test_the_text_is_spaced_as_the_line_was() -> None:
    tree = TemplateTree()

    number = tree.add(form_of('job(7): state="all done", user=bob [x]'))

    assert tree.text(number) == 'job(<*>): state="all done", user=bob [x]'


def test_no_more_templates_are_kept_than_allowed() -> None:
    tree = TemplateTree(most=10)

    for i in range(100):
        tree.add(f"{'abcdefghij'[i % 10]}{'klmnopqrst'[i // 10]} happened")

    assert len(tree) == 10
    assert len(tree.take_forgotten()) == 90
    assert tree.take_forgotten() == []


def test_the_least_recently_met_template_makes_room() -> None:
    tree = TemplateTree(most=2)
    first = tree.add("first one")
    second = tree.add("second one")
    tree.add("first one")

    tree.add("third one")

    assert first in tree
    assert second not in tree


@given(FORMS, st.integers(1, 8))
def test_memory_is_bounded_whatever_comes(forms: list[str], most: int) -> None:
    tree = TemplateTree(most=most, memory=4)

    for form in forms:
        assert tree.add(form) in tree
        assert len(tree) <= most


@given(FORMS, FORMS)
def test_it_goes_on_from_its_state_as_if_nothing_had_happened(
    before: list[str], after: list[str]
) -> None:
    tree, restored = TemplateTree(most=8), TemplateTree(most=8)
    for form in before:
        tree.add(form)

    restored.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(tree.state())))

    assert restored.state() == tree.state()
    assert [restored.add(form) for form in after] == [tree.add(form) for form in after]
    assert restored.state() == tree.state()


@given(FORMS)
def test_what_is_kept_at_hand_changes_no_answer(forms: list[str]) -> None:
    kept, bare = TemplateTree(), TemplateTree(memory=1)

    assert [kept.add(form) for form in forms] == [bare.add(form) for form in forms]


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 2},
        {"groups": 1},
        {"order": [0, 0]},
        {"order": []},
        {"next": 0},
        {"groups": [[["a"], [[0, ["a", "b"], [False]]]]]},
    ],
)
def test_a_damaged_state_is_refused(damage: dict[str, object]) -> None:
    tree = TemplateTree()
    tree.add("a")
    kept = copy.deepcopy(tree.state())

    with pytest.raises(StateError):
        tree.restore({**tree.state(), **damage})

    assert tree.state() == kept
