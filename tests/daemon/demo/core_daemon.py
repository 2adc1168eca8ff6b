"""The daemon's core under the demo, without a database: the loop's steps done in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from watchkeeper.daemon.config import Config
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Batch, Step
from watchkeeper.daemon.demo.stage import event_topics
from watchkeeper.daemon.demo.watching import CountedSource
from watchkeeper.daemon.reporting.topics import TopicNames, order
from watchkeeper.daemon.transport.codec import decode
from watchkeeper.daemon.transport.memory import MemoryBroker
from watchkeeper.detectors.types import Command, Scalar, Tick, moment
from watchkeeper.handlers.rollback import Rollback
from watchkeeper.handlers.rules import RULES
from watchkeeper.handlers.targets.application import Application
from watchkeeper.handlers.types import Action, ActionState, Outcome, Phase


@dataclass
class CoreDaemon:
    """Turns like the daemon; an action runs in the turn after it was permitted.

    The order to switch goes out in one turn and its answer is looked for in the next ones, as
    with an executor of its own thread.
    """

    config: Config
    source: CountedSource
    broker: MemoryBroker
    now: float = 0.0
    findings: int = 0
    pipeline: Pipeline = field(init=False)
    _rollback: Rollback = field(init=False)
    _answers: dict[str, Outcome] = field(default_factory=dict)
    _outcomes: list[Outcome] = field(default_factory=list)
    _running: dict[str, Action] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rollback = Rollback(Application(self, self), clock=lambda: self.now)
        self.pipeline = Pipeline(State(self.config.policy), RULES, [self._rollback])

    def turn(self, now: float) -> Step:
        self.now = now
        polled = self.source.poll(0.0)
        for partition in polled.assigned:
            self.source.start(partition, 0)
        kinds = {topic: kind for kind, topic in event_topics(self.config).items()}
        decoded = decode(polled.records, kinds, now=now)
        assert decoded.dead == []
        commands = [c for c in decoded.commands if not self._heard(c)]
        self._go_on()
        outcomes, self._outcomes = self._outcomes, []
        step = self.pipeline.step(Batch(decoded.frames, commands, outcomes, self._tick()))
        for action in step.actions.values():
            self._act(action)
        self.findings += len(step.findings)
        return step

    def request(self, key: str, model: str, verb: str, args: Mapping[str, Scalar]) -> None:
        names = TopicNames(actions=self.config.topics.name("actions"))
        self.broker.publish(order(key, model, verb, args, names, moment(self.now)), self.now)

    def answer(self, key: str, timeout: float) -> Outcome | None:
        return self._answers.get(key)

    def live_version(self, model: str) -> str | None:
        return self.pipeline.state.models[model].live_version

    def known_versions(self, model: str) -> list[str]:
        return [*self.pipeline.state.models[model].versions]

    def _tick(self) -> Tick | None:
        return Tick(self.now) if self.source.caught_up() else None

    def _heard(self, command: Command) -> bool:
        if command.command != "outcome":
            return False
        phase, reason = Phase(str(command.args["phase"])), str(command.args["reason"])
        self._answers[command.target] = Outcome(
            command.target, command.model_name or "", phase, reason, self.now
        )
        return True

    def _act(self, action: Action) -> None:
        if action.state is ActionState.PLANNED:
            self._outcomes.append(self._rollback.preflight(action))
        if action.state is ActionState.PERMITTED:
            self._running[action.id] = action

    def _go_on(self) -> None:
        """Runs permitted actions; one whose order is not answered yet is run again later."""
        for action in [*self._running.values()]:
            outcome = self._rollback.run(action)
            if outcome.phase is Phase.SUCCESSFUL:
                del self._running[action.id]
                self._outcomes.append(outcome)
