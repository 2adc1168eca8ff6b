"""Retrain: when it plans, and a whole retraining from examples to a registered candidate."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.fakes import FakeDeployer, FakeRegistry
from tests.handlers import cases, worlds
from watchkeeper.daemon.actions.jobs import JobRunner
from watchkeeper.daemon.core.guards import Answer, Case, decide
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.store import Store
from watchkeeper.detectors.types import Finding, Series, Severity
from watchkeeper.handlers.checks import HandlerTrial, check_handler
from watchkeeper.handlers.errors import Interrupted, Unreachable
from watchkeeper.handlers.example_scorer import ExampleScorer
from watchkeeper.handlers.examples import Examples
from watchkeeper.handlers.left_out import LeftOut
from watchkeeper.handlers.promote import Promote
from watchkeeper.handlers.retrain.dataset import Result, read, write_result
from watchkeeper.handlers.retrain.retrain import JobFailed, JobOrder, Retrain
from watchkeeper.handlers.rollback import Rollback
from watchkeeper.handlers.scorer import Unscorable
from watchkeeper.handlers.targets.registry import Registry
from watchkeeper.handlers.types import (
    ActionState,
    Context,
    Incident,
    Kind,
    Mode,
    Phase,
    SourceRecord,
)

_MODEL = b"a model"
_BETTER = Result(
    "v2.r-1", True, hashlib.sha256(_MODEL).hexdigest(), 1_700.0, "error rate", 0.1, 0.3
)
_ALONE = cases.context(changes=())

needs_train = pytest.mark.skipif(
    importlib.util.find_spec("skl2onnx") is None, reason="needs the extra `train`"
)


@dataclass
class FakeExamples:
    """Always the same examples."""

    examples: Examples = field(default_factory=worlds.classification)

    def newest(self, model: str, limit: int) -> Examples:
        return self.examples.take(slice(-limit, None))


@dataclass
class FakeJobs:
    """Runs each job once, in no time: it leaves `result`, or fails with `failure`."""

    folder: Path
    result: Result = _BETTER
    failure: Exception | None = None
    begun: list[str] = field(default_factory=list)

    def run(self, order: JobOrder, prepare: Callable[[Path], None]) -> Path:
        if self.failure is not None:
            raise self.failure
        if order.key not in self.begun:
            self.begun.append(order.key)
            prepare(self.folder)
            (self.folder / "model.onnx").write_bytes(_MODEL)
            write_result(self.folder, self.result)
        return self.folder


def _handler(jobs: FakeJobs, registry: FakeRegistry | None = None) -> Retrain:
    registrar = Registry(registry or FakeRegistry())
    return Retrain(Rollback(FakeDeployer()), FakeExamples(), jobs, registrar)


def test_it_passes_the_checks_of_every_handler(tmp_path_factory: pytest.TempPathFactory) -> None:
    def trial() -> HandlerTrial:
        jobs, registry = FakeJobs(tmp_path_factory.mktemp("job")), FakeRegistry()
        return HandlerTrial(
            lambda: _handler(jobs, registry), lambda: len(jobs.begun), cases.incident(), _ALONE
        )

    check_handler(trial)


@pytest.mark.parametrize(
    ("why", "incident", "context"),
    [
        ("a rollback is the remedy", cases.incident(), cases.context()),
        ("the data are at fault", cases.incident(Kind.DATA), _ALONE),
        ("it may learn from an attack", cases.incident(Kind.ATTACK), _ALONE),
        ("too few labels", cases.incident(), cases.context(changes=(), examples=999)),
        (
            "a rollback has failed: a person decides",
            cases.incident(),
            cases.context(actions=(cases.action(state=ActionState.FAILED),)),
        ),
    ],
)
def test_it_plans_nothing_when(
    tmp_path: Path, why: str, incident: Incident, context: Context
) -> None:
    assert _handler(FakeJobs(tmp_path)).plan(incident, context) is None, why


def test_it_plans_when_the_rollback_was_refused(tmp_path: Path) -> None:
    refused = cases.context(actions=(cases.action(state=ActionState.REFUSED),))

    assert _handler(FakeJobs(tmp_path)).plan(cases.incident(), refused) is not None


def test_it_plans_nothing_beside_a_rollback_that_was_only_observed(tmp_path: Path) -> None:
    rollback = cases.action(state=ActionState.PLANNED)
    policy = ModelPolicy(mode=Mode.OBSERVE)
    verdict = decide(Case(rollback, cases.incident(), cases.context(), policy))
    observed = msgspec.structs.replace(rollback, state=ActionState.REFUSED, reason=verdict.reason)

    planned = _handler(FakeJobs(tmp_path)).plan(
        cases.incident(), cases.context(actions=(observed,))
    )

    assert verdict.answer is Answer.REFUSE
    assert planned is None


def test_examples_that_are_not_fit_stop_it_before_it_runs(tmp_path: Path) -> None:
    handler = _handler(FakeJobs(tmp_path))
    flood = worlds.classification().take(np.zeros(1_000, dtype=np.int64))
    handler.examples = FakeExamples(flood)

    outcome = handler.preflight(cases.action("retrain"))

    assert outcome.phase is Phase.FAILED


def labels_of(name: str) -> Finding:
    """A finding that a source of labels stands out."""
    series = Series("churn", "v2", "labels", f"source:{name}")
    since = cases.incident().since
    return Finding(series, "ewma", Severity.WARNING, since, since + 60, 0.6, 0.0, 9.0, 6.0, 40)


def told_by(names: list[str | None]) -> Examples:
    """Examples told by these in turn."""
    examples = worlds.classification()
    source = np.array([names[i % len(names)] for i in range(len(examples))], dtype=object)
    return dataclasses.replace(examples, source=source)


@pytest.mark.parametrize(
    ("odd", "told_apart", "kept"),
    [
        ("vendor", ("crew", "vendor"), {"crew", "late", None}),
        ("__other__", ("crew", "vendor"), {"crew", "vendor", None}),
        ("__other__", ("crew", "vendor", "__other__"), {"crew", "vendor", None}),
    ],
)
def test_nothing_is_learned_from_labels_of_a_source_that_stands_out(
    tmp_path: Path, odd: str, told_apart: tuple[str, ...], kept: set[str | None]
) -> None:
    handler = _handler(FakeJobs(tmp_path))
    handler.examples = FakeExamples(told_by(["crew", "vendor", "late", None]))
    incident = msgspec.structs.replace(
        cases.incident(), findings=(labels_of(odd),), since=0.0, opened_at=cases.NOW
    )
    incident = msgspec.structs.replace(
        incident, findings=tuple(msgspec.structs.replace(f, since=0.0) for f in incident.findings)
    )
    known = tuple(SourceRecord(name, 0.3) for name in told_apart)

    action = handler.plan(incident, msgspec.structs.replace(_ALONE, sources=known))

    assert action is not None
    assert f"but for the labels of {odd}" in action.summary
    checked = handler.preflight(action)
    handler.run(action)
    _, learned = read(tmp_path)
    examples = handler.examples.examples
    assert examples.source is not None
    expected = [at for at, s in zip(examples.at, examples.source, strict=True) if s in kept]
    assert learned.at.tolist() == expected
    left_out = len(examples) - len(expected)
    assert f"{left_out} by labels of {odd} are left out" in checked.reason


def test_a_source_of_most_labels_is_learned_from(tmp_path: Path) -> None:
    incident = msgspec.structs.replace(cases.incident(), findings=(labels_of("vendor"),))
    context = msgspec.structs.replace(_ALONE, sources=(SourceRecord("vendor", 0.9),))

    action = _handler(FakeJobs(tmp_path)).plan(incident, context)

    assert action is not None
    assert "without_sources" not in action.args


def test_the_outcome_carries_what_the_promotion_needs(tmp_path: Path) -> None:
    registry = FakeRegistry()

    outcome = _handler(FakeJobs(tmp_path), registry).run(cases.action("retrain"))

    assert outcome.phase is Phase.SUCCESSFUL
    assert outcome.result["candidate"] == "v2.r-1"
    assert outcome.result["better"] is True
    assert outcome.result["trained_until"] == 1_700.0
    assert registry.known["churn"][-1] == "v2.r-1"


def test_it_learns_nothing_from_the_time_before_the_fault(tmp_path: Path) -> None:
    handler = _handler(FakeJobs(tmp_path))
    since = float(worlds.classification().at[1_000])
    incident = msgspec.structs.replace(cases.incident(), since=since)
    action = handler.plan(incident, _ALONE)
    assert action is not None

    handler.run(action)

    _, learned = read(tmp_path)
    assert learned.at.min() == since
    assert len(learned) == 500


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (msgspec.structs.replace(_BETTER, better=False), "the candidate is no better"),
        (Result(refused="only 3 examples"), "only 3 examples"),
        (msgspec.structs.replace(_BETTER, digest="00" * 32), "not the file that the result names"),
    ],
)
def test_a_candidate_that_is_not_better_is_not_registered(
    tmp_path: Path, result: Result, reason: str
) -> None:
    registry = FakeRegistry()

    outcome = _handler(FakeJobs(tmp_path, result), registry).run(cases.action("retrain"))

    assert outcome.phase is Phase.FAILED
    assert reason in outcome.reason
    assert outcome.result.get("better") is not True
    assert registry.files == {}


@pytest.mark.parametrize(
    ("failure", "phase"), [(JobFailed("killed"), Phase.FAILED), (Unreachable("no"), Phase.ERROR)]
)
def test_a_failed_job_is_an_outcome(tmp_path: Path, failure: Exception, phase: Phase) -> None:
    outcome = _handler(FakeJobs(tmp_path, failure=failure)).run(cases.action("retrain"))

    assert (outcome.phase, outcome.reason) == (phase, str(failure))


def test_a_stopping_daemon_leaves_the_action_started(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        _handler(FakeJobs(tmp_path, failure=Interrupted("stop"))).run(cases.action("retrain"))


@needs_train
def test_from_a_stale_model_to_a_better_one_that_is_live(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/watchkeeper.db"
    migrate.upgrade(url)
    store, registry = Store(url), FakeRegistry()
    examples = FakeExamples(told_by(["crew", "vendor"]))
    jobs = JobRunner(store.jobs, tmp_path / "jobs", poll_s=0.05, wall_s=120)
    target, positive = Registry(registry), {"churn": "yes"}
    retrain = Retrain(Rollback(target), examples, jobs, target, positive=positive)
    action = retrain.plan(cases.incident(), _ALONE)
    assert action is not None

    outcome = retrain.run(action)

    assert outcome.phase is Phase.SUCCESSFUL, outcome.reason
    ended = msgspec.structs.replace(
        action, state=ActionState.SUCCESSFUL, args={**action.args, **outcome.result}
    )
    scorer = ExampleScorer(examples, registry, positive)
    promote = Promote(target, scorer)
    promotion = promote.plan(cases.incident(), msgspec.structs.replace(_ALONE, actions=(ended,)))
    assert promotion is not None
    checked = promote.preflight(promotion)
    assert (checked.phase, "(n=300," in checked.reason) == (Phase.SUCCESSFUL, True), checked.reason
    until = outcome.result["trained_until"]
    assert isinstance(until, float)
    candidate, vendor = (
        str(promotion.args["to_version"]),
        LeftOut.of(["vendor"], ["crew", "vendor"]),
    )
    assert scorer.compare("churn", "v2", candidate, until, vendor).n == 150
    assert promote.run(promotion).phase is Phase.SUCCESSFUL
    assert registry.lives["churn"] == f"v2.r-{action.id.removeprefix('act-')}"
    with pytest.raises(Unscorable, match=r"no file of v1 is registered"):
        scorer.compare("churn", "v2", "v1")
    with pytest.raises(Unscorable, match="only 0 labelled examples"):
        scorer.compare("churn", "v1", registry.lives["churn"])
    store.close()
