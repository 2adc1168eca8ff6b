"""Handlers that wait at a gate, leases in memory, and an executor of both."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec

from tests.handlers import cases
from tests.patience import patient
from watchkeeper.daemon.actions.executor import Executor
from watchkeeper.handlers.types import Action, Context, Incident, Outcome, Phase

WAIT_S = patient(10.0)


@dataclass
class FakeClaims:
    """Leases in memory; `foreign` leases are held by another instance."""

    foreign: set[str] = field(default_factory=set)
    claimed: list[tuple[str, str, str]] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    renewed: list[str] = field(default_factory=list)
    tokens: int = 0

    def claim(self, action_id: str, step: str, lease: str) -> int | None:
        if lease in self.foreign:
            return None
        self.claimed.append((action_id, step, lease))
        self.tokens += 1
        self.held[lease] = self.tokens
        return self.tokens

    def renew(self, lease: str, token: int) -> bool:
        self.renewed.append(lease)
        return self.held.get(lease) == token

    def release(self, lease: str, token: int) -> None:
        if self.held.get(lease) == token:
            del self.held[lease]


@dataclass
class Gate:
    """A handler that waits at a gate inside `run`, and says who is inside."""

    name: ClassVar[str] = "gate"
    undoable: ClassVar[bool] = True

    open: threading.Event = field(default_factory=threading.Event)
    inside: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    seen: list[tuple[str, str]] = field(default_factory=list)
    raises: Exception | None = None

    def plan(self, incident: Incident, context: Context) -> Action | None:
        return None

    def preflight(self, action: Action) -> Outcome:
        return Outcome(action.id, action.model, Phase.SUCCESSFUL, "safe", 0.0, "preflight")

    def run(self, action: Action) -> Outcome:
        self.seen.append((action.id, "run"))
        self.inside.release()
        assert self.open.wait(WAIT_S)
        if self.raises is not None:
            raise self.raises
        return Outcome(action.id, action.model, Phase.SUCCESSFUL, "done", 0.0)

    def undo(self, action: Action) -> Outcome:
        self.seen.append((action.id, "undo"))
        return Outcome(action.id, action.model, Phase.SUCCESSFUL, "undone", 0.0, "undo")


class SlowCheck(Gate):
    """Waits at the gate inside its preflight check already."""

    def preflight(self, action: Action) -> Outcome:
        self.run(action)
        return super().preflight(action)


def an_action(number: int, model: str = "churn", kind: str = "gate", **changed: object) -> Action:
    usual = msgspec.structs.replace(cases.action(kind), id=f"act-{number}", model=model)
    return msgspec.structs.replace(usual, **changed)


def outcomes_of(executor: Executor, count: int = 1) -> list[Outcome]:
    """The next outcomes, waited for with a time-out."""
    found: list[Outcome] = []
    tick = threading.Event()
    for _ in range(int(WAIT_S / 0.01)):
        found += executor.outcomes()
        if len(found) >= count:
            return found
        tick.wait(0.01)
    raise AssertionError(f"only {found}")


def executor_of(gate: Gate, **changed: object) -> Executor:
    settings: dict[str, object] = {"claims": FakeClaims(), **changed}
    return Executor({"gate": gate, "slow": gate}, **settings)  # type: ignore[arg-type]
