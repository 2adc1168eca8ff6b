"""The examples in the docs are what the program takes, and every name has its entry."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tests.reference import HANDLERS, action_names, metric_names
from watchkeeper.daemon.cli import cli
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Batch
from watchkeeper.daemon.messages import message_schemas
from watchkeeper.daemon.reporting.messages import ActionMessage, IncidentMessage, ModelMessage
from watchkeeper.daemon.transport.codec import decode
from watchkeeper.daemon.transport.codec.deadletter import Reason
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.detectors.registry import detector_names
from watchkeeper.detectors.signals import NAMES
from watchkeeper.detectors.types import EVENT_TYPES

ROOT = Path(__file__).parent.parent
MADE = ("cli.md", "configuration.md")
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name not in MADE),
    *(page for page in (ROOT / "CONTRIBUTING.md", ROOT / "AGENTS.md") if page.exists()),
]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
_OURS = re.compile(r"^(watchkeeper .*?)\s*(?:#.*)?$", re.MULTILINE)
WRITTEN: Mapping[str, type[Any]] = {
    "incident.v1": IncidentMessage,
    "action.v1": ActionMessage,
    "model.v1": ModelMessage,
}


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of one language."""
    return [body for name, body in _BLOCK.findall(page.read_text("utf-8")) if name == language]


def examples() -> dict[str, str]:
    """The example of each message, by its heading."""
    text = (ROOT / "docs" / "messages.md").read_text("utf-8")
    parts = re.split(r"^### `([a-z]+\.v1)`$", text, flags=re.MULTILINE)[1:]
    return {name: _first_json(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def _first_json(text: str) -> str:
    return next(str(body) for name, body in _BLOCK.findall(text) if name == "json")


def python_blocks() -> list[tuple[str, str]]:
    """Every Python block with the name of its page."""
    return [(page.name, body) for page in PAGES for body in blocks(page, "python")]


def toml_blocks() -> list[tuple[str, str]]:
    """Every TOML block with the name of its page."""
    return [(page.name, body) for page in PAGES for body in blocks(page, "toml")]


def commands() -> list[str]:
    """Every command of ours that a page names in a shell block."""
    found = [line for page in PAGES for b in blocks(page, "sh") for line in _OURS.findall(b)]
    return sorted(set(found))


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_the_example_of_an_event_is_read_whole(kind: str) -> None:
    value = examples()[f"{kind}.v1"].encode()

    decoded = decode([Record("topic", 0, 0, 0.0, b"fraud", value)], {})

    assert not decoded.dead
    assert len(decoded.frames) + len(decoded.commands) == 1
    assert decoded.unknown_fields == 0


@pytest.mark.parametrize("name", WRITTEN)
def test_the_example_of_a_written_message_has_its_fields(name: str) -> None:
    example = examples()[name]

    message = msgspec.json.decode(example, type=WRITTEN[name])

    assert msgspec.to_builtins(message) == json.loads(example)


def test_every_message_with_a_schema_has_an_example() -> None:
    assert {*message_schemas(), *WRITTEN} == set(examples())


def test_the_lines_of_the_readme_can_be_replayed() -> None:
    lines = _first_json((ROOT / "README.md").read_text("utf-8")).splitlines()
    records = [Record("file", 0, n, 0.0, None, line.encode()) for n, line in enumerate(lines)]
    decoded = decode(records, {})
    pipeline = Pipeline(State(lambda model: ModelPolicy()), (), ())

    step = pipeline.step(Batch(decoded.frames))

    counts = step.counts["fraud"]
    assert not decoded.dead
    assert (counts.predictions, counts.labels, counts.joined) == (2, 1, 1)


@pytest.mark.parametrize(("page", "code"), python_blocks())
def test_python_in_the_docs_compiles(page: str, code: str) -> None:
    compile(code, page, "exec")


@pytest.mark.parametrize(("page", "text"), toml_blocks())
def test_configuration_in_the_docs_is_taken(page: str, text: str) -> None:
    given = tomllib.loads(text)

    taken = msgspec.convert(given, Config)

    assert given
    assert [s for s in given if getattr(taken, s) == getattr(Config(), s)] == []


@pytest.mark.parametrize("line", commands())
def test_commands_in_the_docs_exist(line: str) -> None:
    words = [word for word in line.split()[1:] if re.fullmatch(r"[a-z]+", word)]
    found: Any = cli
    for word in words:
        if not hasattr(found, "get_command"):
            break
        found = found.get_command(None, word)
        assert found is not None, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    if not (ROOT / "Makefile").exists():
        pytest.skip("not a check-out: the tests were copied without the rest")
    for target in _LINK.findall(page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_every_name_has_its_entry() -> None:
    text = (ROOT / "docs" / "detectors.md").read_text("utf-8")
    metrics = (ROOT / "docs" / "metrics.md").read_text("utf-8")

    for signal in NAMES:
        assert f"### Signal `{signal}`\n" in text
    for detector in detector_names():
        assert f"### Detector `{detector}`\n" in text
    for handler in action_names():
        assert f"### Handler `{handler}`\n" in text
    for metric in metric_names():
        assert f"| `{metric}` |" in metrics
    assert set(action_names()) == set(HANDLERS)


def test_every_reason_of_a_refusal_is_told() -> None:
    text = (ROOT / "docs" / "messages.md").read_text("utf-8")

    for reason in get_args(Reason):
        assert f"| `{reason}` |" in text


def test_decisions_are_numbered_without_a_gap() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]

    assert numbers[0] == 1
    assert all(after == before + 1 for before, after in pairwise(numbers))
    for number, page in zip(numbers, pages, strict=True):
        assert page.read_text("utf-8").startswith(f"# {number}. ")
