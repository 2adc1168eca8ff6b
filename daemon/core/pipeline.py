"""The core's one step: frames in; findings, incidents and actions out. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from watchkeeper.daemon.core import incidents
from watchkeeper.daemon.core.commands import obey
from watchkeeper.daemon.core.ingest import COUNT, LIVE, ingest
from watchkeeper.daemon.core.judging import findings_of, judged, samples_of
from watchkeeper.daemon.core.planning import Planner
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import ModelState, State
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.types import AnyFrame, Finding, Severity, Tick, Window
from watchkeeper.detectors.windows import Watermark, first_open, window_of
from watchkeeper.handlers.types import Action, Context, Handler, Incident, Outcome, Rule

EMPTY_LIMIT = 60  # windows of a gap that are judged; a longer silence says nothing new
LABELLED_MIN = 30  # labels a window must have to show a version healthy


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
        for name, frames in _by_model(batch.frames).items():
            ingest(self.state.model(name), self.state.policy(name), frames, step)
        self._tick(batch.tick, step)
        for name in sorted(step.dirty):
            self._close_windows(self.state.model(name), planner, step)
        return step

    def _adopt(self, profile: Profile, step: Step) -> None:
        """From now on a version is compared with what a person gave, not with what was learned."""
        state = self.state.model(profile.model)
        if state.profiles.get(profile.version) != profile:
            state.profiles[profile.version] = profile
            state.learning.pop(profile.version, None)
            step.dirty.add(profile.model)

    def _outcome(self, planner: Planner, step: Step, outcome: Outcome) -> None:
        state, policy = self.state.models.get(outcome.model), self.state.policy(outcome.model)
        if state is None:
            return  # another instance owns the model by now
        before = state.incident
        changed = planner.outcome(state, policy, context_of(state, policy), outcome)
        changed += planner.plan(state, policy, context_of(state, policy))
        step.note(state.model, changed, before, state.incident)

    def _tick(self, tick: Tick | None, step: Step) -> None:
        """Time passes for the models whose events are of today, not for a replayed past."""
        if tick is None:
            return
        for name, state in self.state.models.items():
            state.last_tick = tick.at
            # A stream that runs behind the clock keeps its distance, and may double it.
            reached = tick.at - self.state.policy(name).lateness_s - 2.0 * state.behind_s
            if state.live_stream and reached > state.mark.newest:
                state.mark = Watermark(reached)
                step.dirty.add(name)

    def _close_windows(self, state: ModelState, planner: Planner, step: Step) -> None:
        policy = self.state.policy(state.model)
        if state.next_window is None or state.mark.newest == float("-inf"):
            return
        stop = first_open(state.mark.newest, policy.lateness_s, policy.window_s)
        while state.next_window < stop:
            index = state.next_window
            state.next_window += 1
            if index in state.partials:
                state.empty_run = 0
            elif state.empty_run >= EMPTY_LIMIT:
                state.next_window = min([i for i in state.partials if i < stop], default=stop)
                continue
            else:
                state.empty_run += 1
            self._close(state, policy, planner, step, index)
            state.partials.pop(index, None)

    def _close(
        self, state: ModelState, policy: ModelPolicy, planner: Planner, step: Step, index: int
    ) -> None:
        window = window_of(index, policy.window_s)
        answering = _elect(state, index)
        before = state.incident
        found, verdicts, healthy = self._judge(state, policy, step, index, window)
        step.findings.extend(found)
        incidents.remember(state, policy, window.end, found)
        now_served = [f for f in found if f.series.version in answering]
        incidents.take_findings(state, policy, window.end, now_served)
        if state.incident is not None and (before is None or before.id != state.incident.id):
            state.incident = replace(state.incident, share=_share(state.incident, answering))
        _credit(state, healthy)
        changed: list[Action] = []
        if state.incident is not None and state.incident.open:
            context = context_of(state, policy)
            incidents.relocate(state, context, self.rules)
            if before is not None and (
                state.verify_since is None or window.start >= state.verify_since
            ):
                incidents.follow(
                    state, verdicts.get(_suspect(state, policy, answering) or LIVE, {})
                )
            incidents.retire(state, policy, window.end)
            changed = planner.verify(state, policy, window.end)
            changed += planner.plan(state, policy, context_of(state, policy))
        step.note(state.model, changed, before, state.incident)

    def _judge(
        self, state: ModelState, policy: ModelPolicy, step: Step, index: int, window: Window
    ) -> tuple[list[Finding], dict[str, dict[incidents.Key, bool]], set[str]]:
        """The window's findings; the verdicts on each version; the versions that did well."""
        partials = state.partials.get(index, {})
        versions = sorted({state.live_version, *(v for v, _ in partials if v != LIVE)})
        found: list[Finding] = []
        verdicts: dict[str, dict[incidents.Key, bool]] = {}
        shown: set[str] = set()
        shows = "accuracy" if state.labelled else "volume"
        for sample in samples_of(state, index, window, versions):
            step.samples.append(sample)
            series = sample.series
            state.labelled |= series.signal == "accuracy"
            if series.signal == shows and sample.n >= LABELLED_MIN:
                shown.add(series.version)
            for judge, enough in judged(state, policy, sample):
                new = findings_of(state, judge, sample, step.failures)
                found.extend(new)
                if judge.watch.severity is not Severity.INFO and enough:
                    key = (series.signal, series.target, judge.watch.detector)
                    known = verdicts.setdefault(series.version, {})
                    known[key] = known.get(key, False) or bool(new)
        harmed = {f.series.version for f in found if f.severity is not Severity.INFO}
        return found, verdicts, shown - harmed


def context_of(state: ModelState, policy: ModelPolicy) -> Context:
    """What is known of the model besides the incident's own findings."""
    now = (state.next_window or 0) * policy.window_s
    since = state.incident.since if state.incident is not None else now
    return Context(
        model=state.model,
        now=now,
        live_version=state.live_version,
        versions=tuple(state.versions.values()),
        changes=tuple(c for c in state.changes if c.time.timestamp() <= now),
        recent=tuple(state.recent),
        actions=tuple(state.actions.values()),
        examples=state.join.examples_since(since, now),
        label_coverage=state.join.coverage(),
        window_s=policy.window_s,
    )


def _by_model(frames: Sequence[AnyFrame]) -> dict[str, list[AnyFrame]]:
    grouped: dict[str, list[AnyFrame]] = {}
    for frame in frames:
        if len(frame):
            grouped.setdefault(frame.model, []).append(frame)
    return grouped


def _elect(state: ModelState, index: int) -> dict[str, int]:
    """The live version is the one that made most of a window's predictions; gives how many each
    version made, and the live one in any case."""
    counts = {
        version: int(partial["n"][0])
        for (version, signal), partial in state.partials.get(index, {}).items()
        if signal == COUNT
    }
    if counts:
        state.live_version = max(counts, key=lambda v: (counts[v], v == state.live_version, v))
    return {state.live_version: 0} | counts


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
