"""What one worker runs with, and the pauses before its next try."""

from __future__ import annotations

import socket

import pytest

from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.sections import Daemon, Kafka, Web
from watchkeeper.daemon.exit_codes import MISCONFIGURED
from watchkeeper.daemon.starting import CannotStart
from watchkeeper.daemon.worker import DEATHS_S, MOST_DEATHS, Worker, config_of


def test_each_worker_has_names_and_a_port_of_its_own_and_shares_the_rest() -> None:
    config = Config(
        daemon=Daemon(instance="here", state_dir="/s", workers=3),
        kafka=Kafka(group_instance_id="static"),
        web=Web(listen="127.0.0.1:8321"),
    )

    second = config_of(config, 2)

    assert second.daemon.instance == "here-2"
    assert second.daemon.workers == 1
    assert second.kafka.group_instance_id == "static-2"
    assert second.kafka.client_id == "watchkeeper-2"
    assert second.web.listen == "127.0.0.1:8322"
    assert (second.daemon.state_dir, second.database) == ("/s", config.database)
    assert config_of(config, 1).web.listen == "127.0.0.1:8321"


def test_without_a_static_name_workers_have_the_instances() -> None:
    config = Config(daemon=Daemon(instance="here"))

    assert config_of(config, 1).kafka.group_instance_id == "here-1"


def test_a_port_beyond_the_last_one_is_refused() -> None:
    with pytest.raises(CannotStart, match="leaves no port for worker 2") as refused:
        config_of(Config(web=Web(listen="127.0.0.1:65535")), 2)

    assert refused.value.code == MISCONFIGURED


def a_worker() -> Worker:
    return Worker(1, Config(), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))


def test_pauses_grow_and_come_to_an_end() -> None:
    worker = a_worker()

    pauses = [worker.again(float(now)) for now in range(MOST_DEATHS + 1)]

    worker.notes.close()
    assert pauses[:3] == [1.0, 2.0, 4.0]
    assert pauses[-2:] == [30.0, None]


def test_deaths_long_ago_do_not_count() -> None:
    worker = a_worker()
    for now in range(5):
        worker.again(float(now))

    pause = worker.again(DEATHS_S + 10.0)

    worker.notes.close()
    assert pause == 1.0
