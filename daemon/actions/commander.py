"""Orders to applications by way of the outbox, and their answers by way of the loop."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.ports import Message
from watchkeeper.detectors.types import Command, Scalar
from watchkeeper.handlers.types import Outcome, Phase

ANSWERS_LIMIT = 1_000
MARGIN_S = 5.0  # what the clocks of the daemon and of an application may differ


@dataclass
class OutboxCommander:
    """A Commander. `order` makes the message, the last argument being when it expires; `put` keeps
    it until it is told.

    An order is published again each time it is asked for: an application obeys a key once but
    answers each time, so that an answer lost in a crash comes once more.
    """

    order: Callable[[str, str, str, Mapping[str, Scalar], float], Message]
    put: Callable[[Sequence[OutboxRow]], None]
    clock: Callable[[], float]
    _answers: OrderedDict[str, Outcome] = field(default_factory=OrderedDict)
    _came: threading.Condition = field(default_factory=threading.Condition)

    def request(
        self, key: str, model: str, verb: str, args: Mapping[str, Scalar], timeout: float
    ) -> None:
        now = self.clock()
        expires_at = now + timeout + MARGIN_S
        message = self.order(key, model, verb, args, expires_at)
        row = OutboxRow(
            id=f"{key}:{uuid.uuid4().hex}",
            channel="kafka",
            payload=message.value,
            created_at=now,
            topic=message.topic,
            key=message.key,
            headers=message.headers,
            expires_at=expires_at,
        )
        with self._came:
            self._answers.pop(key, None)
        self.put([row])

    def answer(self, key: str, timeout: float) -> Outcome | None:
        with self._came:
            self._came.wait_for(lambda: key in self._answers, timeout)
            return self._answers.get(key)

    def answered(self, command: Command) -> str:
        """Takes an application's answer in; says what became of it."""
        try:
            phase = Phase(str(command.args.get("phase")))
        except ValueError:
            return f"refused: no such phase {command.args.get('phase')!r}"
        reason = str(command.args.get("reason", ""))[:500]
        model = command.model_name or ""
        outcome = Outcome(command.target, model, phase, reason, command.time.timestamp())
        with self._came:
            self._answers[command.target] = outcome
            while len(self._answers) > ANSWERS_LIMIT:
                self._answers.popitem(last=False)
            self._came.notify_all()
        return "done: answer taken"
