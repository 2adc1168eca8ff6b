"""How connections to a server are made."""

from __future__ import annotations

import os
import socket
from contextlib import closing

import pytest

from watchkeeper.daemon.storage.database import Database


@pytest.mark.service
def test_a_server_that_falls_silent_is_given_up_soon(postgres_url: str) -> None:
    tcp = socket.IPPROTO_TCP
    with closing(Database(postgres_url)) as database, database.read() as connection:
        number = connection.connection.driver_connection.fileno()  # type: ignore[union-attr]
        with socket.socket(fileno=os.dup(number)) as wire:
            unanswered = wire.getsockopt(tcp, socket.TCP_USER_TIMEOUT) / 1_000
            asked = wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle = wire.getsockopt(tcp, socket.TCP_KEEPIDLE)
            every = wire.getsockopt(tcp, socket.TCP_KEEPINTVL)
            times = wire.getsockopt(tcp, socket.TCP_KEEPCNT)

    assert asked
    assert unanswered <= 15.0
    assert idle + every * times <= 15.0
