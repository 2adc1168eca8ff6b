"""`watchkeeper topics`."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.daemon.cli.conftest import Host, process
from tests.services.brokers import Broker


@pytest.mark.service
def test_topics_are_made_once_and_the_doctor_finds_them(host: Host, kafka: Broker) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}."
    host.write(
        f'[kafka]\nbootstrap_servers = ["{kafka.bootstrap}"]\n[topics]\nprefix = "{prefix}"\n'
    )

    missing = json.loads(host.run("doctor", "-o", "json").stdout)
    first = json.loads(host.run("topics", "create", "--partitions", "2", "-o", "json").stdout)
    second = json.loads(host.run("topics", "create", "-o", "json").stdout)
    doctor = host.run("doctor", "-o", "json")

    assert "`watchkeeper topics create`" in next(
        each["message"] for each in missing if each["check"] == "kafka"
    )
    assert {each["outcome"] for each in first} == {"created"}
    assert f"{prefix}incidents.state" in {each["topic"] for each in first}
    assert {each["outcome"] for each in second} == {"exists"}
    assert doctor.exit_code == 0, doctor.stdout


def test_without_a_broker_making_topics_ends_with_69(brokerless: Host) -> None:
    ended = process("topics", "create", folder=brokerless.folder)

    assert ended.returncode == 69
    assert "could not be made" in ended.stderr
