"""Drops what is no longer needed: kept events, old rows, folders of ended jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from watchkeeper.daemon.actions.jobs import JobRunner
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.loop import Loop
from watchkeeper.daemon.storage.store import Store

log = structlog.get_logger()

JOBS_KEPT_S = 30 * 86_400.0  # folders of ended jobs that no registered version needs


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Keeps what joins and retraining may still ask for, and what people look at."""

    config: Config
    store: Store
    loop: Loop
    jobs: JobRunner
    clock: Callable[[], float]

    def forget(self) -> None:
        """Drops all that has become old; nothing while partitions are taken up or left."""
        settings = [self.config.defaults, *self.config.models.values()]
        newest = 2 * max(s.join_capacity for s in settings)
        horizon = 2 * max(float(s.join_horizon) for s in settings)
        # How far joins reach back is known only of the models that are watched here.
        before, state = self.loop.moves, self.loop.pipeline.state
        here = {partition.number for partition in self.loop.owns}
        joins = {model: max(state.reach(model), newest) for model in list(state.models)}
        if before % 2 or self.loop.moves != before:
            log.info("nothing is dropped while partitions are taken up or left")
            return
        frames = self.store.prune_captured(newest, horizon, self.clock(), joins, here)
        old = self.store.forget_old(self.clock())
        registry = self.store.registry
        kept = [v.uri for m in registry.models() for v in registry.versions(m) if v.uri]
        self.jobs.prune(kept, self.clock() - JOBS_KEPT_S)
        if frames or old:
            log.info("dropped what is no longer needed", frames=frames, findings=old.findings,
                     sent=old.sent, taken=old.taken)  # fmt: skip
