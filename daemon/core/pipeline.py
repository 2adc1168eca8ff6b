"""The core's one step: frames in; findings, incidents and actions out. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from watchkeeper.daemon.core import incidents, renewing, spread
from watchkeeper.daemon.core.closing import Closing
from watchkeeper.daemon.core.commands import obey
from watchkeeper.daemon.core.due import expecting
from watchkeeper.daemon.core.ingest import ingest
from watchkeeper.daemon.core.judging import judge
from watchkeeper.daemon.core.measuring import LIVE
from watchkeeper.daemon.core.model import ModelState
from watchkeeper.daemon.core.planning import Planner
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.daemon.core.stored import members_of
from watchkeeper.daemon.core.versions import apart, heed_deployed
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.windows import window_of
from watchkeeper.handlers.types import Action, Context, Handler, Incident, Outcome, Rule

EMPTY_LIMIT = 60  # windows of a gap that are judged; a longer silence says nothing new


class Pipeline:
    """Holds what stays the same from step to step: the state, the rules and the handlers."""

    def __init__(self, state: State, rules: Sequence[Rule], handlers: Sequence[Handler]) -> None:
        self.state = state
        self.rules = rules
        self.handlers = handlers

    def step(self, batch: Batch) -> Step:
        """Takes one batch through every model it concerns."""
        step = Step()
        planner = Planner(self.handlers, batch.blind_since)
        for profile in batch.profiles:
            self._adopt(profile, step)
        for outcome in batch.outcomes:
            self._outcome(planner, step, outcome)
        for command in batch.commands:
            step.answers[command.id] = obey(
                self.state, planner, command, step, batch.now, context_of
            )
        spread.merge(self.state, batch.merges, step)
        heed_deployed(self.state, batch.frames)
        *first, last = apart(self.state, batch.frames)
        for frames in first:
            ingest(self.state, frames, step)
            self._close_windows(planner, step)
        ingest(self.state, last, step)
        if batch.tick is not None:
            moved = self.state.arrays.clocks.tick(batch.tick.at)
            step.dirty.mark(moved, self.state.names)
        if self.state.spread:
            spread.follow(self.state, step)
        self._close_windows(planner, step)
        step.counts = self.state.counting.told(self.state.names)
        return step

    def _adopt(self, profile: Profile, step: Step) -> None:
        """From now on a version is compared with what a person gave, not with what was learned."""
        state = self.state.model(profile.model)
        if state.profiles.get(profile.version) != profile:
            renewing.adopt(state, profile)
            step.dirty.add(profile.model)

    def _outcome(self, planner: Planner, step: Step, outcome: Outcome) -> None:
        state = self.state.models.get(outcome.model)
        if state is None:
            return  # another instance owns the model by now
        policy = self.state.policy(outcome.model)
        before = state.incident
        changed = planner.outcome(state, policy, context_of(state, policy), outcome)
        changed += planner.plan(state, policy, context_of(state, policy))
        step.note(state.model, changed, before, state.incident)

    def _close_windows(self, planner: Planner, step: Step) -> None:
        """Closes what is due, one window of each model at a time: those of all models together."""
        state = self.state
        dirty = step.dirty
        if state.shares:
            spread.age(state, state.shares.intersection(dirty))
            dirty = dirty - state.shares
        due = state.arrays.clocks.due(dirty.rows(lambda name: state.models[name].row))
        while len(due):
            closing = [each for row in due.tolist() if (each := self._next(row)) is not None]
            judge(state, closing, step)
            for each in sorted(closing, key=lambda each: each.model.model):
                self._close(each, planner, step)
            due = state.arrays.clocks.due(due)

    def _next(self, row: int) -> Closing | None:
        """A model's next window to close; None where one of a long gap is passed over."""
        model = self.state.by_row[row]
        index, ledger = model.next_window, self.state.arrays.ledger
        if index is None:
            return None
        held = bool(ledger.open.slots_of(row, index)) or index in model.partials
        if not held and model.empty_run >= EMPTY_LIMIT:
            model.next_window = self._after_gap(model)
            return None
        model.next_window = index + 1
        model.empty_run = 0 if held else model.empty_run + 1
        policy = self.state.policy(model.model)
        return Closing(model, policy, index, window_of(index, policy.window_s))

    def _after_gap(self, model: ModelState) -> int:
        """The first window of a gap's end that holds anything, or that stays open."""
        stop = self.state.arrays.clocks.stop(model.row)
        members = [member for _, member in members_of(model)]
        held = [*self.state.arrays.ledger.open.windows(members), *model.partials]
        return min([i for i in held if i < stop], default=stop)

    def _close(self, closing: Closing, planner: Planner, step: Step) -> None:
        if closing.model.renewals:
            closing.found = renewing.muted(closing.model, closing.found)
        self._follow(closing, planner, step)
        if closing.model.former or closing.model.model in self.state.renewing:
            renewing.close(self.state, closing, step)

    def _follow(self, closing: Closing, planner: Planner, step: Step) -> None:
        state, policy, window = closing.model, closing.policy, closing.window
        before, found = state.incident, closing.found
        if not found and (before is None or not before.open):
            _credit(state, closing.healthy)
            step.dirty.add(state.model)
            return
        state.settle()
        step.findings.extend(found)
        incidents.remember(state, policy, window.end, found)
        now_served = [f for f in found if f.series.version in closing.answering]
        incidents.take_findings(state, policy, window.end, now_served)
        if state.incident is not None and (before is None or before.id != state.incident.id):
            share = _share(state.incident, closing.answering)
            state.incident = expecting(state, replace(state.incident, share=share))
        _credit(state, closing.healthy)
        changed: list[Action] = []
        if state.incident is not None and state.incident.open:
            changed = self._care(closing, planner, before)
        step.note(state.model, changed, before, state.incident)

    def _care(self, closing: Closing, planner: Planner, before: Incident | None) -> list[Action]:
        """Takes the model's open incident one window further."""
        state, policy, window = closing.model, closing.policy, closing.window
        incidents.relocate(state, context_of(state, policy), self.rules)
        if before is not None and (
            state.verify_since is None or window.start >= state.verify_since
        ):
            suspect = _suspect(state, policy, closing.answering) or LIVE
            incidents.follow(state, closing.verdicts.get(suspect, {}))
        incidents.retire(state, policy, window.end)
        changed = planner.verify(state, policy, window.end)
        return changed + planner.plan(state, policy, context_of(state, policy))


def context_of(state: ModelState, policy: ModelPolicy) -> Context:
    """What is known of the model besides the incident's own findings."""
    state.settle()
    now = (state.next_window or 0) * policy.window_s
    since = state.incident.since if state.incident is not None else now
    heard, version = state.heard, state.live_version
    if state.incident is not None and state.incident.open:
        version = state.incident.version
    return Context(
        model=state.model,
        now=now,
        live_version=state.live_version,
        versions=tuple(state.versions.values()),
        changes=tuple(c for c in state.changes if c.time.timestamp() <= now),
        recent=tuple(state.recent),
        actions=tuple(state.actions.values()),
        examples=state.arrays.joins.held.examples_since(state.row, since, now),
        label_coverage=state.arrays.joins.held.coverage(state.row),
        window_s=policy.window_s,
        sources=() if heard is None else heard.records(),
        rest_judged_at=None if heard is None else heard.rest.get(version),
    )


def _share(incident: Incident, answering: dict[str, int]) -> float:
    """The share of the model's predictions that the incident's version makes; 1 in silence."""
    total = sum(answering.values())
    return answering.get(incident.version, 0) / total if total else 1.0


def _suspect(state: ModelState, policy: ModelPolicy, answering: dict[str, int]) -> str | None:
    """The version whose recovery is watched: the incident's own until it has not answered for a
    while, then the live one. None: this window shows nothing of it."""
    incident = state.incident
    if incident is None or state.verify_since is not None:
        return state.live_version
    if incident.version in answering:
        state.absent = 0
        return incident.version
    state.absent += 1
    return state.live_version if state.absent > policy.verify_windows else None


def _credit(state: ModelState, healthy: set[str]) -> None:
    """Counts a good window for each version that had one, unless it is under suspicion."""
    suspect = state.incident.version if state.incident and state.incident.open else None
    for version in sorted(healthy - {suspect}):
        record = state.versions.get(version)
        if record is not None:
            state.versions[version] = replace(record, healthy_windows=record.healthy_windows + 1)
