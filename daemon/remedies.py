"""Builds each model's handlers and targets from the configuration."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from watchkeeper.daemon.actions.by_model import HandlerByModel, Named, RegisteredTwice
from watchkeeper.daemon.actions.commander import OutboxCommander
from watchkeeper.daemon.actions.jobs import JobRunner
from watchkeeper.daemon.actions.traffic import StoredExamples, StreamTraffic
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.storage.shelf import Shelf
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.transport.ports import Message
from watchkeeper.detectors.types import Scalar
from watchkeeper.handlers.command import Command, Order
from watchkeeper.handlers.egress import Egress
from watchkeeper.handlers.example_scorer import ExampleScorer
from watchkeeper.handlers.notify import Notify
from watchkeeper.handlers.promote import Promote
from watchkeeper.handlers.retrain.retrain import BUILT_IN, Registrar, Retrain
from watchkeeper.handlers.rollback import Rollback
from watchkeeper.handlers.switching import Deployer
from watchkeeper.handlers.targets.application import Application
from watchkeeper.handlers.targets.combined import Combined
from watchkeeper.handlers.targets.mlflow import MLflow
from watchkeeper.handlers.targets.registry import Registry
from watchkeeper.handlers.types import Handler


@dataclass
class Remedies:
    """What may be done about each model; everything is made at its first use."""

    config: Config
    shelf: Shelf
    commander: OutboxCommander
    traffic: StreamTraffic
    examples: StoredExamples
    jobs: JobRunner
    clock: Callable[[], float]

    @classmethod
    def planning_only(cls, config: Config, store: Store, state: State) -> Remedies:
        """Remedies that will never be carried out: for a replay."""
        commander = OutboxCommander(_no_order, lambda rows: None, time.time)
        jobs = JobRunner(store.jobs, Path(config.daemon.state_dir) / "jobs")
        shelf = Shelf(store.registry, time.time)
        traffic, examples = StreamTraffic(state), StoredExamples(store)
        return cls(config, shelf, commander, traffic, examples, jobs, time.time)

    def handlers(self) -> list[Handler]:
        """The handlers in the order in which they are asked for a plan."""
        found: list[Handler] = [
            HandlerByModel("rollback", True, self._rollback),
            HandlerByModel("promote", True, self._promote),
            HandlerByModel("retrain", False, self._retrain),
            HandlerByModel("command", True, self._command),
        ]
        if self.config.notify.on_call:
            hook = _egress(self.config.notify.on_call.reveal())
            found.append(Notify(hook, tuple(found), clock=self.clock))
        return found

    def deployer(self, model: str) -> Deployer:
        """What decides which version of the model is live."""
        serving = self.config.model(model).serving
        application = Application(self.commander, self.traffic)
        registry = Registry(self.shelf)
        if serving.target == "application":
            return application
        if serving.target == "registry+application":
            return Combined(registry, application)
        if serving.target == "registry":
            return registry
        mlflow = Named(self._mlflow(serving.alias), serving.name or model)
        return mlflow if serving.target == "mlflow" else Combined(mlflow, application)

    def _mlflow(self, alias: str) -> MLflow:
        settings = self.config.mlflow
        token = settings.token.reveal()
        headers = (("Authorization", f"Bearer {token}"),) if token else ()
        return MLflow(_egress(settings.uri or "", headers), alias)

    def _rollback(self, model: str) -> Rollback:
        policy = self.config.policy(model)
        return Rollback(
            self.deployer(model),
            self._scorer(model),
            deployment_window_s=policy.deployment_window_s,
            healthy_windows_min=policy.healthy_windows_min,
            clock=self.clock,
        )

    def _promote(self, model: str) -> Handler:
        return Promote(self.deployer(model), self._scorer(model), clock=self.clock)

    def _retrain(self, model: str) -> Handler:
        policy, trainer = self.config.policy(model), self.config.retrain.trainer
        positive = {} if policy.positive is None else {model: policy.positive}
        return Retrain(
            rollback=self._rollback(model),
            examples=self.examples,
            jobs=self.jobs,
            registrar=self._registrar(model),
            command=BUILT_IN if trainer == "built-in" else tuple(trainer),
            examples_min=policy.examples_min,
            positive=positive,
            clock=self.clock,
        )

    def _registrar(self, model: str) -> Registrar:
        serving, own = self.config.model(model).serving, Registry(self.shelf)
        if not serving.target.startswith("mlflow"):
            return own
        return RegisteredTwice(self._mlflow(serving.alias), own, serving.name or model)

    def _command(self, model: str) -> Handler:
        orders = tuple(
            Order(o.kind, o.verb, dict(o.args), o.undo_verb)
            for o in self.config.model(model).orders
        )
        return Command(self.commander, orders, clock=self.clock)

    def _scorer(self, model: str) -> ExampleScorer:
        positive = self.config.model(model).positive
        known = {} if positive is None else {model: positive}
        return ExampleScorer(self.examples, self.shelf, known)


def _no_order(
    key: str, model: str, verb: str, args: Mapping[str, Scalar], expires_at: float
) -> Message:
    raise RuntimeError(f"a replay orders nothing, yet {verb} was asked for")


def _egress(url: str, headers: tuple[tuple[str, str], ...] = ()) -> Egress:
    """The user named this host in the configuration, so it may be a private one."""
    host = urlsplit(url).hostname or ""
    return Egress(url, allowed_hosts=(host,), headers=headers)
