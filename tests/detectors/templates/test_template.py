from __future__ import annotations

import pytest

from watchkeeper.detectors.templates.masks import WILD
from watchkeeper.detectors.templates.template import Template, alike, closest, general
from watchkeeper.detectors.templates.tokens import tokens_of


def template(number: int, said: str) -> Template:
    return Template(number, *tokens_of(said))


def test_its_text_has_the_spaces_there_were() -> None:
    said = "reading (block <*>): done"

    assert template(0, said).text == said


def test_the_template_with_the_fewest_wildcards_is_the_closest() -> None:
    tokens, _ = tokens_of("disk sda is full")
    templates = [template(3, f"disk {WILD} is {WILD}"), template(4, f"disk {WILD} is full")]

    assert closest(templates, tokens) == 4
    assert closest(templates[:1], tokens) == 3
    assert closest([template(5, "disk sdb is full")], tokens) is None


def test_what_differs_is_a_wildcard() -> None:
    said = ["disk sda full", "disk sdb full", "disk sdb full"]

    assert general([tokens_of(each)[0] for each in said]) == ("disk", WILD, "full")


@pytest.mark.parametrize(
    ("words", "sets"),
    [
        (["open", "close"], 2),  # few: somebody wrote them
        (["anna", "bert", "carl", "dora", "emil"], 1),  # many: a variable
        (["NEW", "OPEN", "HELD", "DONE", "GONE"], 5),  # states, though many
    ],
)
def test_places_tell_statements_apart_or_are_variables(words: list[str], sets: int) -> None:
    templates = [template(i, f"now {word} it") for i, word in enumerate(words)]

    assert len(alike(templates, 5)) == sets
