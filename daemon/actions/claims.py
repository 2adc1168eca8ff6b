"""A model's lease and the record that a step was begun, before the call is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import RunStep

STEPS: dict[str, RunStep] = {"preflight": "preflight", "run": "run", "undo": "undo"}


@dataclass
class LeasedClaims:
    """The executor's Claims over the database. `ttl` is a lease's life in seconds."""

    store: Store
    holder: str
    clock: Callable[[], float]
    ttl: float = 30.0

    def claim(self, action_id: str, step: str, lease: str) -> int | None:
        token = self.store.leases.acquire(lease, self.holder, self.ttl)
        if token is None:
            return None
        claims, kind = self.store.claims, STEPS[step]
        begun = claims.claim(action_id, self.holder, self.clock(), kind)
        if begun is None:
            # Begun before a crash, here or elsewhere: with the lease it is ours to reconcile.
            claims.take_over(action_id, self.holder, self.clock(), kind)
        return token

    def renew(self, lease: str, token: int) -> bool:
        return self.store.leases.renew(lease, token, self.ttl)

    def release(self, lease: str, token: int) -> None:
        self.store.leases.release(lease, token)
