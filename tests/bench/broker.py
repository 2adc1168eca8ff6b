"""The replay broker: a Kafka broker of one process that reads from endless logs.

It honours the sizes and waits that a fetch asks for, as Apache Kafka does, so that what a client
spends on it is what it would spend on a real one. A topic is called as its stream, a dot and its
kind: `ten.predictions`. A group has one member: the newest that joined. Answers are packed by
kafka-python's own message classes but for fetches.

A second port takes one JSON object a line: `{"ask": "joined", "group": "g"}` gives the time of the
group's newest assignment, `{"ask": "live", "stream": "s", "begin": 1.5, "seconds": 14}` writes to
a live stream.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import socketserver
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from kafka.protocol.consumer import FetchRequest

from tests.bench.coordinator import Groups, answers
from tests.bench.fetching import NEWEST, OLDEST, Fetches
from tests.bench.replay import Empty, Live, Log, Replay, Stream
from tests.bench.traffic import Shape
from tests.e2e.daemon import python_path

KINDS = ("predictions", "labels", "logs", "metrics", "changes", "commands")
_FETCH, _API_VERSIONS = 1, 18
# The newest version that is spoken of each request: those of a broker of 2.1.
_SPOKEN = {0: 7, 1: NEWEST, 2: 4, 3: 7, 8: 5, 9: 5, 10: 2, 11: 5, 12: 3, 13: 3, 14: 3, 18: 2}
_SPOKEN |= {22: 1, 32: 2}
_OLDEST = {0: 3, 1: OLDEST, 32: 1}  # of the others every one before


class Spec(msgspec.Struct, frozen=True):
    """What the broker serves: streams by name, and those of them that are live."""

    streams: dict[str, Shape]
    live: list[str] = []


class Topics:
    """The partitions of every topic, and the condition that live ones tell of their growth."""

    def __init__(self, spec: Spec) -> None:
        self.grown = threading.Condition()
        self.logs: dict[str, list[Log]] = {}
        self.live: dict[str, Live] = {}
        for name, shape in spec.streams.items():
            self._add(name, shape, live=name in spec.live)

    def _add(self, name: str, shape: Shape, live: bool) -> None:
        numbers = range(shape.partitions)
        for kind in KINDS:
            self.logs[f"{name}.{kind}"] = [Empty() for _ in numbers]
        if live:
            self.live[name] = Live(shape, self.grown)
            self.logs[f"{name}.predictions"] = [self.live[name]]
            return
        stream = Stream(shape)
        self.logs[f"{name}.predictions"] = [Replay(stream, False, n) for n in numbers]
        if not shape.alone:
            self.logs[f"{name}.labels"] = [Replay(stream, True, n) for n in numbers]


class Broker(socketserver.ThreadingTCPServer):
    """Listens on a free port of this host, a thread a connection."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, topics: Topics, groups: Groups) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.topics, self.groups = topics, groups
        self.fetches = Fetches(topics.logs, topics.grown)
        self.port: int = self.server_address[1]

    def answer(self, key: int, version: int, body: bytes) -> bytes:
        """The body of the response."""
        if key == _FETCH:
            request = FetchRequest.decode(body, version=version)
            return self.fetches.answer(request, version)
        if key == _API_VERSIONS and version > _SPOKEN[key]:
            return struct.pack(">hi", 35, 1) + struct.pack(">hhh", 18, 0, _SPOKEN[18])
        spoken = {key: (_OLDEST.get(key, 0), newest) for key, newest in _SPOKEN.items()}
        ends = {name: [log.end() for log in logs] for name, logs in self.topics.logs.items()}
        return answers(key, version, body, self.groups, self.port, ends, spoken)


class _Connection(socketserver.StreamRequestHandler):
    """Answers the requests of one connection in turn."""

    server: Broker

    def handle(self) -> None:
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(ConnectionError):  # a client that was ended
            self._serve()

    def _serve(self) -> None:
        while len(head := self.rfile.read(4)) == 4:
            frame = self.rfile.read(struct.unpack(">i", head)[0])
            key, version, number, named = struct.unpack_from(">hhih", frame)
            start = 10 + max(named, 0)
            if key == _API_VERSIONS and version >= 3:
                start += 1  # tagged fields
            body = self.server.answer(key, version, frame[start:])
            self.connection.sendall(struct.pack(">ii", len(body) + 4, number))
            self.connection.sendall(body)


class _Control(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            asked = json.loads(line)
            broker: Broker = self.server.broker  # type: ignore[attr-defined]
            if asked["ask"] == "joined":
                found = broker.groups.joined(asked["group"])
            else:
                live = broker.topics.live[asked["stream"]]
                found = asked["begin"]
                times = (asked["begin"], asked["seconds"])
                threading.Thread(target=live.produce, args=times, daemon=True).start()
            self.wfile.write(json.dumps(found).encode() + b"\n")


class Running(msgspec.Struct, frozen=True):
    """Where a broker listens."""

    port: int
    control: int

    @property
    def bootstrap(self) -> str:
        """For clients."""
        return f"127.0.0.1:{self.port}"

    def ask(self, **question: object) -> Any:
        """Asks on the second port."""
        with socket.create_connection(("127.0.0.1", self.control), timeout=10) as connection:
            connection.sendall(json.dumps(question).encode() + b"\n")
            return json.loads(connection.makefile().readline())


@contextmanager
def running(spec: Spec) -> Iterator[Running]:
    """A broker in a process of its own, to the end of the block."""
    command = [sys.executable, "-m", "tests.bench.broker", msgspec.json.encode(spec).decode()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **python_path()})
    try:
        assert process.stdout is not None
        yield msgspec.json.decode(process.stdout.readline(), type=Running)
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.broker", description=__doc__)
    parser.add_argument("spec", help="JSON of streams by name")
    spec = msgspec.json.decode(parser.parse_args().spec, type=Spec)
    broker = Broker(Topics(spec), Groups())
    control = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Control)
    control.daemon_threads = True
    control.broker = broker  # type: ignore[attr-defined]
    threading.Thread(target=control.serve_forever, daemon=True).start()
    where = Running(broker.port, control.server_address[1])
    sys.stdout.write(msgspec.json.encode(where).decode() + "\n")
    sys.stdout.flush()
    broker.serve_forever()


if __name__ == "__main__":
    main()
