"""Spares the thread of kafka-python's network what it need not do for every request.

At low load there is a request for a handful of events, and that thread works longer on it than the
loop on them: it waits until a socket takes bytes before it offers any, has the socket's name put
into an error that nobody reads whenever it begins to wait for it, and asks two dozen times whether
its steps are to be logged. Where the library is not as expected all stays as it is, which costs
time and nothing else.
"""

from __future__ import annotations

import ast
import inspect
import logging
import selectors
import textwrap
import threading
import time
from typing import Any

import structlog

log = structlog.get_logger()

_TRACE = 5  # the library's own level
_WRITER = ("_sock_send", "_write_to_sock", "write")
# What the library's own `write` does, of which ours is another order.
_WRITES = """\
if not self._write or self._closed:
    raise RuntimeError('Transport closed for writes')
if not data:
    raise ValueError('Cant write empty data')
self._write_buffer.append(data)
if not self._writing:
    self._writing = True
    self._write_task = self._net.call_soon(self._write_to_sock)"""
_SELECTOR = ("_fd_to_key", "_fileobj_lookup")


def spare_steps() -> None:
    """Changes the library for all clients. Idempotent."""
    from kafka.net import selector, transport

    _trace_nothing(selector)
    _offer_at_once(transport)


def name_no_sockets(chosen: Any) -> None:
    """Has a client's selector say that it does not know a socket without saying which."""
    if not isinstance(chosen, selectors.BaseSelector) or not all(
        hasattr(chosen, name) for name in _SELECTOR
    ):
        return
    known: Any = chosen

    def key_of(socket: Any) -> Any:
        return known._fd_to_key[known._fileobj_lookup(socket)]

    known.get_key = key_of


def _trace_nothing(selector: Any) -> None:
    """Leaves out what is only said at a level below that of debugging."""
    own = logging.getLogger("kafka.net.selector")
    if hasattr(selector, "log_trace") and not own.isEnabledFor(_TRACE):
        selector.log_trace = _nothing


def _nothing(*_: object) -> None:
    return None


def _offer_at_once(transport: Any) -> None:
    """Has a request written when it is made; only what the socket does not take is waited with."""
    plain: Any = getattr(transport, "KafkaTCPTransport", None)
    wait: Any = getattr(plain, "write", None)
    if getattr(wait, "offers", False):
        return
    if not all(hasattr(plain, name) for name in _WRITER) or _statements(wait) != _WRITES:
        log.warning("kafka-python is not as expected: requests cost more than they need to")
        return

    def write(self: Any, data: Any) -> None:
        mine = threading.current_thread() is getattr(self._net, "_io_thread", None)
        if not (mine and data and self._write) or self._writing or self._closed:
            wait(self, data)
            return
        self._write_buffer.append(data)
        sent, error = self._sock_send()
        self.last_write = time.monotonic()
        if self._protocol and self._protocol._sensors:
            self._protocol._sensors.bytes_sent.record(sent)
        if error is not None:
            self._net.call_soon(lambda: self.abort(error=error))
        elif self._write_buffer:
            self._writing = True
            self._write_task = self._net.call_soon(self._write_to_sock)

    write.offers = True  # type: ignore[attr-defined]
    plain.write = write


def _statements(method: Any) -> str:
    """What a method does, without its docstring and however it is laid out; "" where its source is
    not at hand."""
    try:
        (made,) = ast.parse(textwrap.dedent(inspect.getsource(method))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return ""
    if not isinstance(made, ast.FunctionDef):
        return ""
    body = made.body[1:] if ast.get_docstring(made) is not None else made.body
    return "\n".join(ast.unparse(each) for each in body)
