"""A TCP proxy that does to connections what bad networks do."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")
_CHUNK = 16_384
_CALL_S = 10.0
_DELAY_S = 0.5
_SLOW = 1024  # bytes a second
_CUT_AFTER = 5  # bytes of a chunk: no frame of Kafka or PostgreSQL is so short


class Fault(StrEnum):
    """What happens to the connections that go through."""

    NONE = "none"
    DELAY = "delay"
    RESET = "reset"
    REFUSE = "refuse"
    HOLE = "hole"
    SLOW = "slow"
    CUT = "cut"


class Proxy:
    """Listens on a local port and passes on to another one, as the fault in force allows."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target = port, target
        self._fault = Fault.NONE
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")

    def start(self) -> None:
        """Begins to listen."""
        self._thread.start()
        self._call(self._listen())

    def apply(self, fault: Fault) -> None:
        """Puts a fault in force; NONE heals. Connections that are open feel it too."""
        self._call(self._apply(fault))

    def close(self) -> None:
        """Ends every connection."""
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_S)
        self._loop.close()

    def _call(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(_CALL_S)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _apply(self, fault: Fault) -> None:
        before, self._fault = self._fault, fault
        if fault is Fault.REFUSE:
            await self._unlisten()
        elif before is Fault.REFUSE:
            await self._listen()
        if fault in (Fault.REFUSE, Fault.RESET) or before in (Fault.HOLE, Fault.CUT):
            self._reset_all()

    async def _unlisten(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _end(self) -> None:
        await self._unlisten()
        self._reset_all()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)

    def _reset_all(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self._fault is Fault.RESET:
                return
            there, out = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers.add(out)
            try:
                both = self._pass(reader, out), self._pass(there, writer)
                await asyncio.gather(*both)
            finally:
                self._drop(out)
        except OSError:
            return
        finally:
            self._drop(writer)
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                if not await self._send(chunk, writer):
                    break
        _reset(writer)

    async def _send(self, chunk: bytes, writer: asyncio.StreamWriter) -> bool:
        if self._fault is Fault.HOLE:
            return True
        if self._fault is Fault.CUT:
            chunk = chunk[:_CUT_AFTER]
        if self._fault is Fault.DELAY:
            await asyncio.sleep(_DELAY_S)
        while chunk and self._fault is Fault.SLOW:
            writer.write(chunk[: _SLOW // 10])
            chunk = chunk[_SLOW // 10 :]
            await asyncio.sleep(0.1)
        writer.write(chunk)
        await writer.drain()
        return self._fault is not Fault.CUT

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection without a farewell."""
    where = writer.get_extra_info("socket")
    if where is not None and not writer.is_closing():
        with suppress(OSError):
            where.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
            )
    writer.transport.abort()


@contextmanager
def proxied(port: int, target: int) -> Iterator[Proxy]:
    """Runs one to the end of the block."""
    proxy = Proxy(port, target)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()
