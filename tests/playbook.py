"""A playbook for the core: events in, findings, incidents and actions out, without any mock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

import msgspec
import numpy as np

from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import (
    OK,
    AnyFrame,
    Change,
    ChangeFrame,
    Command,
    LabelFrame,
    MetricFrame,
    ObjectArray,
    PredictionFrame,
    Tick,
)
from watchkeeper.handlers.rules import RULES
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Context,
    Handler,
    Incident,
    IncidentState,
    Kind,
    Mode,
    Outcome,
    Phase,
    action_id,
)

START = 1_700_000_040.0 // 60 * 60
PER_WINDOW = 120
MODEL = "fraud"


@dataclass
class GoBack:
    """Plans a rollback whenever the model is at fault; performs nothing itself."""

    name: ClassVar[str] = "rollback"
    undoable: ClassVar[bool] = True
    to_version: str = "v1"

    def plan(self, incident: Incident, context: Context) -> Action | None:
        if incident.fault.kind is not Kind.MODEL or context.live_version == self.to_version:
            return None
        return Action(
            id=action_id(incident.id, self.name, 1, self.to_version),
            incident_id=incident.id,
            model=incident.model,
            kind=self.name,
            state=ActionState.PLANNED,
            planned_at=context.now,
            updated_at=context.now,
            summary=f"go back to {self.to_version}",
            args={"from_version": context.live_version, "to_version": self.to_version},
        )

    def preflight(self, action: Action) -> Outcome:
        return Outcome(action.id, action.model, Phase.SUCCESSFUL, "fit", 0.0, "preflight")

    def run(self, action: Action) -> Outcome:
        return Outcome(action.id, action.model, Phase.SUCCESSFUL, "done", 0.0, "run")

    def undo(self, action: Action) -> Outcome:
        return Outcome(action.id, action.model, Phase.SUCCESSFUL, "undone", 0.0, "undo")


@dataclass
class Play:
    """One model's life, window by window, with everything the core said about it."""

    mode: Mode = Mode.ACT
    seed: int = 1
    handlers: Sequence[Handler] = (GoBack(),)
    policy: ModelPolicy = field(init=False)
    pipeline: Pipeline = field(init=False)
    at: float = START
    steps: list[Step] = field(default_factory=list)
    _requests: int = 0
    _labels: list[tuple[float, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.policy = ModelPolicy(
            watches=DEFAULT_WATCHES, mode=self.mode, learn_n=1_000, healthy_windows_min=5
        )
        self.pipeline = Pipeline(State(lambda _: self.policy), RULES, self.handlers)

    def step(self, batch: Batch) -> Step:
        step = self.pipeline.step(batch)
        self.steps.append(step)
        return step

    def traffic(
        self,
        windows: int,
        *,
        version: str = "v1",
        wrong: float = 0.08,
        missing: float = 0.0,
        failing: float = 0.0,
        slow: float = 1.0,
        n: int = PER_WINDOW,
        delay: int = 1,
    ) -> None:
        """Predictions for some windows, each labelled one to `delay` windows later."""
        for _ in range(windows):
            self.step(Batch(self.window(version, wrong, missing, failing, slow, n, delay)))

    def window(
        self,
        version: str = "v1",
        wrong: float = 0.08,
        missing: float = 0.0,
        failing: float = 0.0,
        slow: float = 1.0,
        n: int = PER_WINDOW,
        delay: int = 1,
    ) -> list[AnyFrame]:
        """The frames of the next window."""
        rng = np.random.default_rng([self.seed, self._requests])
        at = self.at + (np.arange(n) + 0.5) * 60.0 / max(n, 1)
        ids = objects([f"r{self._requests + i}" for i in range(n)])
        self._requests += max(n, 1)
        true = rng.random(n) < 0.4
        shown = np.where(rng.random(n) < wrong, ~true, true)
        amount = rng.normal(50, 10, n) + 5 * true
        amount[rng.random(n) < missing] = np.nan
        frame = PredictionFrame(
            model=MODEL,
            at=at,
            seq=np.arange(n),
            version=version,
            request_id=ids,
            entity=objects([f"c{i % 40}" for i in range(n)]),
            duration_s=slow * rng.lognormal(-3.0, 0.2, n),
            status=np.where(rng.random(n) < failing, 1, OK).astype(np.int64),
            label=objects(["yes" if s else "no" for s in shown]),
            score=np.clip(np.where(shown, 0.9, 0.1) + rng.normal(0, 0.05, n), 0, 1),
            value=np.full(n, np.nan),
            output_valid=np.ones(n, dtype=np.bool_),
            numeric={"amount": amount, "age": rng.normal(40, 8, n)},
            categorical={"country": objects(rng.choice(["DE", "FR", "US"], n).tolist())},
        )
        waits = (60.0 * (1.0 + (delay - 1) * rng.random(n))).tolist()
        due = [each for each in self._labels if each[0] < self.at + 60.0]
        self._labels = [each for each in self._labels if each[0] >= self.at + 60.0]
        self._labels += [
            (t + wait, r, "yes" if y else "no")
            for t, wait, r, y in zip(at.tolist(), waits, ids, true.tolist(), strict=True)
        ]
        self.at += 60.0
        frames: list[AnyFrame] = [frame] if n else []
        return [*frames, labels(due, len(frame))] if due else frames

    def beside(self, version: str, failing: float, n: int) -> list[AnyFrame]:
        """Further frames of the same window as the last one, from another version."""
        self.at -= 60.0
        return self.window(version=version, failing=failing, n=n)

    def change(self, version: str, previous: str = "v1") -> None:
        """A deployment at the present moment."""
        when = datetime.fromtimestamp(self.at, UTC)
        event = Change(
            id=f"deploy-{version}",
            time=when,
            model_name=MODEL,
            kind="deployment",
            model_version=version,
            previous_version=previous,
        )
        at = np.array([self.at])
        self.step(Batch([ChangeFrame(MODEL, at, np.array([0]), objects([event]))]))

    def memory(self, level: float) -> MetricFrame:
        """Four readings of the host's memory in the next window."""
        at = np.array([self.at + 15.0 * i for i in range(4)])
        return MetricFrame(
            MODEL,
            at,
            np.arange(4),
            objects(["memory.utilization"] * 4),
            np.full(4, level),
            objects(["host-1"] * 4),
            np.zeros(4, dtype=np.bool_),
        )

    def outcome(self, action: Action, phase: Phase = Phase.SUCCESSFUL, what: str = "run") -> Step:
        """The executor's answer."""
        end = Outcome(action.id, MODEL, phase, "said the test", self.at)
        return self.step(Batch(outcomes=[msgspec.structs.replace(end, step=what)]))

    def command(self, verb: str, target: str, **fields: object) -> str:
        """A person's command; what became of it."""
        self._requests += 1
        when = datetime.fromtimestamp(self.at, UTC)
        plain = {
            "id": f"cmd-{self._requests}",
            "time": when,
            "command": verb,
            "target": target,
            "actor": "ann",
            **fields,
        }
        order = msgspec.convert(plain, Command)
        return self.step(Batch(commands=[order])).answers[order.id]

    def tick(self) -> Step:
        """A minute passes without events."""
        self.at += 60.0
        return self.step(Batch(tick=Tick(self.at)))

    def restarted(self) -> None:
        """Crashes and comes back with what was stored."""
        stored = msgspec.msgpack.encode(self.pipeline.state.dump(MODEL))
        captured = [block for step in self.steps for block in step.captured]
        state = State(lambda _: self.policy)
        state.load(MODEL, msgspec.msgpack.decode(stored))
        state.rejoin(captured, {MODEL})
        state.relearn(MODEL, (frame for block in captured for frame in block.frames()))
        self.pipeline = Pipeline(state, RULES, self.handlers)

    def state(self) -> IncidentState:
        """The incident's state now."""
        return self.incident.state

    def action_state(self) -> ActionState:
        """The first action's state now."""
        return self.actions[0].state

    @property
    def incident(self) -> Incident:
        found = self.pipeline.state.models[MODEL].incident
        assert found is not None, "no incident was opened"
        return found

    @property
    def incidents(self) -> list[str]:
        """The ids of all incidents, in order."""
        return list(dict.fromkeys(i for step in self.steps for i in step.incidents))

    @property
    def actions(self) -> list[Action]:
        return list(self.pipeline.state.models[MODEL].actions.values())

    @property
    def story(self) -> list[str]:
        return [note.text for note in self.incident.timeline]


def rolled_back() -> Play:
    """A bad version was deployed, blamed, and left."""
    play = Play()
    play.traffic(45)
    play.change("v2")
    play.traffic(9, version="v2", wrong=0.5)
    play.outcome(play.actions[0], what="preflight")
    play.outcome(play.actions[0])
    return play


def labels(due: Sequence[tuple[float, str, str]], seq: int) -> LabelFrame:
    """Truths that became known."""
    n = len(due)
    return LabelFrame(
        model=MODEL,
        at=np.array([t for t, _, _ in due]),
        seq=seq + np.arange(n),
        request_id=objects([r for _, r, _ in due]),
        label=objects([y for _, _, y in due]),
        value=np.full(n, np.nan),
    )


def objects(values: Sequence[object]) -> ObjectArray:
    column = np.empty(len(values), dtype=np.object_)
    column[:] = list(values)
    return column
