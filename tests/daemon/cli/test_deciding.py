"""Looking at incidents and actions, and deciding about them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.daemon.cli.conftest import Answer, Host
from tests.daemon.storage import examples
from watchkeeper.daemon.storage.store import Store
from watchkeeper.detectors.types import Command

INCIDENT = examples.incident()
ACTION = examples.action(INCIDENT)
Daemon = Callable[[Answer], list[Command]]


def test_incidents_are_listed_as_a_table_and_as_json(host: Host) -> None:
    table = host.run("incident", "list")
    listed = json.loads(host.run("incident", "list", "-o", "json").stdout)

    assert INCIDENT.id in table.stdout
    assert "model 80%" in table.stdout
    assert [each["id"] for each in listed] == [INCIDENT.id]
    assert listed[0]["fault"]["kind"] == "model"


def test_an_incident_is_shown_with_its_evidence_and_actions(host: Host) -> None:
    shown = host.run("incident", "show", INCIDENT.id)
    whole = json.loads(host.run("incident", "show", INCIDENT.id, "-o", "json").stdout)

    assert "errors began 40 s after version 13 was deployed" in shown.stdout
    assert "-2.0 against data: no feature changed" in shown.stdout
    assert ACTION.id in shown.stdout
    assert whole["incident"]["id"] == INCIDENT.id
    assert [each["id"] for each in whole["actions"]] == [ACTION.id]


def test_actions_are_listed_by_state(host: Host) -> None:
    held = host.run("action", "list", "--state", "held")
    failed = host.run("action", "list", "--state", "failed")
    shown = host.run("action", "show", ACTION.id)

    assert ACTION.id in held.stdout
    assert failed.stdout == "no actions\n"
    assert "to_version = 12" in shown.stdout


@pytest.mark.parametrize("what", ["incident", "action"])
def test_what_is_not_there_cannot_be_shown(host: Host, what: str) -> None:
    ended = host.run(what, "show", "nothing")

    assert ended.exit_code == 1
    assert f"no {what} nothing" in ended.stderr


@pytest.mark.parametrize(
    ("words", "verb", "target"),
    [
        (("incident", "ack"), "ack", INCIDENT.id),
        (("incident", "resolve"), "resolve", INCIDENT.id),
        (("action", "approve"), "approve", ACTION.id),
        (("action", "reject"), "reject", ACTION.id),
    ],
)
def test_a_decision_reaches_the_daemon_and_its_answer_comes_back(
    host: Host, daemon: Daemon, words: tuple[str, str], verb: str, target: str
) -> None:
    taken = daemon(lambda command: f"done: {command.command}")

    ended = host.run(*words, target, "--reason", "looked at it", "--actor", "ada")

    assert (ended.exit_code, ended.stdout) == (0, f"done: {verb}\n")
    assert [(c.command, c.target, c.model_name, c.actor, c.reason) for c in taken] == [
        (verb, target, "fraud", "ada", "looked at it")
    ]


def test_a_resolved_incident_can_be_the_new_normal(host: Host, daemon: Daemon) -> None:
    taken = daemon(lambda command: f"done: {command.command}")

    plain = host.run("incident", "resolve", INCIDENT.id)
    ended = host.run("incident", "resolve", INCIDENT.id, "--new-normal", "--reason", "by design")

    assert (plain.exit_code, ended.exit_code) == (0, 0)
    assert [(c.args, c.reason) for c in taken] == [({}, ""), ({"new_normal": True}, "by design")]


@pytest.mark.parametrize(
    ("words", "args"), [((), {}), (("--version", "v2"), {"version": "v2"})], ids=["live", "named"]
)
def test_a_reference_can_be_learned_anew(
    host: Host, daemon: Daemon, words: tuple[str, ...], args: dict[str, str]
) -> None:
    digest = "0" * 64
    host.run("model", "register", "fraud", "v2", "--uri", "s3://models/v2", "--digest", digest)
    taken = daemon(lambda command: f"done: {command.command}")

    ended = host.run("model", "rebaseline", "fraud", *words, "--reason", "new season")

    assert (ended.exit_code, ended.stdout) == (0, "done: rebaseline\n")
    assert [(c.target, c.model_name, c.args, c.reason) for c in taken] == [
        ("fraud", "fraud", args, "new season")
    ]


def test_nothing_is_learned_anew_of_a_model_that_is_not_known(host: Host) -> None:
    ended = host.run("model", "rebaseline", "nothing", "--wait", "0")

    assert ended.exit_code == 1
    assert "no model nothing" in ended.stderr


def test_a_refusal_ends_with_1_and_its_reason(host: Host, daemon: Daemon) -> None:
    daemon(lambda command: "refused: the action is started, not held")

    ended = host.run("action", "approve", ACTION.id)

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr == "refused: the action is started, not held\n"


def test_without_a_daemon_a_decision_stays_waiting_and_ends_with_75(host: Host) -> None:
    ended = host.run("action", "approve", ACTION.id, "--wait", "0.2")

    assert ended.exit_code == 75
    assert "is `watchkeeper run` up?" in ended.stderr
    store = Store(host.url)
    assert [command.command for command in store.inbox.waiting()] == ["approve"]
    store.close()


def test_a_decision_can_be_left_without_waiting(host: Host) -> None:
    ended = host.run("incident", "ack", INCIDENT.id, "--wait", "0")

    assert (ended.exit_code, ended.stdout) == (0, f"left for the daemon: ack {INCIDENT.id}\n")


def test_nothing_is_left_for_what_is_not_there(host: Host) -> None:
    ended = host.run("action", "approve", "nothing", "--wait", "0")

    assert ended.exit_code == 1
    store = Store(host.url)
    assert store.inbox.waiting() == []
    store.close()
