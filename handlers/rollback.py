"""Goes back to the last version that is known to be healthy."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from watchkeeper.detectors.types import Change
from watchkeeper.handlers.planning import new_action, planned
from watchkeeper.handlers.scorer import Scorer, preflight
from watchkeeper.handlers.switching import Deployer, back, forward
from watchkeeper.handlers.types import (
    Action,
    Context,
    Incident,
    Kind,
    Outcome,
    VersionRecord,
)

_GOES_LIVE = ("deployment", "promotion")


@dataclass
class Rollback:
    """Plans a rollback when a version that went live a short while ago is at fault.

    There is one rollback for an incident, whatever becomes of it: going back further, or trying
    again, is a person's decision. Times in seconds.
    """

    name: ClassVar[str] = "rollback"
    undoable: ClassVar[bool] = True

    deployer: Deployer
    scorer: Scorer | None = None
    deployment_window_s: float = 72 * 3600.0
    healthy_windows_min: int = 10
    clock: Callable[[], float] = time.time

    def plan(self, incident: Incident, context: Context) -> Action | None:
        if planned(incident, context, self.name):
            return None
        target = self.target(incident, context)
        if target is None:
            return None
        live = context.live_version
        return new_action(
            incident,
            context,
            self.name,
            f"go back from {live} to {target.version}",
            {"from_version": live, "to_version": target.version},
            target=target.version,
        )

    def target(self, incident: Incident, context: Context) -> VersionRecord | None:
        """The version to go back to, if a fresh version is at fault and there is a healthy one."""
        if incident.fault.kind is not Kind.MODEL or _blames_another(incident, context):
            return None
        change = self._went_live(incident, context)
        if change is None:
            return None
        return self._healthy_before(change, context)

    def preflight(self, action: Action) -> Outcome:
        return preflight(self.deployer, self.scorer, action, self.clock())

    def run(self, action: Action) -> Outcome:
        return forward(self.deployer, action, self.clock())

    def undo(self, action: Action) -> Outcome:
        return back(self.deployer, action, self.clock())

    def _went_live(self, incident: Incident, context: Context) -> Change | None:
        """The newest change that made the live version live: near, and before the incident."""
        earliest = incident.opened_at - self.deployment_window_s
        near = [
            change
            for change in context.changes
            if change.kind in _GOES_LIVE
            and change.model_version == context.live_version
            and earliest <= change.time.timestamp() <= incident.opened_at
        ]
        return near[-1] if near else None

    def _healthy_before(self, change: Change, context: Context) -> VersionRecord | None:
        """The version the change replaced if it is healthy, else the healthy one seen last."""
        moment = change.time.timestamp()
        healthy = [
            record
            for record in context.versions
            if record.version != context.live_version
            and not record.faulty
            and record.first_seen < moment
            and record.healthy_windows >= self.healthy_windows_min
        ]
        replaced = change.previous_version
        return max(healthy, key=lambda r: (r.version == replaced, r.last_seen), default=None)


def _blames_another(incident: Incident, context: Context) -> bool:
    """True when the incident is about a known version that is no longer the live one."""
    known = {record.version for record in context.versions}
    return incident.version in known and incident.version != context.live_version
