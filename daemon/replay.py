"""The same step over files: what the daemon would have found, planned and said."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import click
import msgspec
import structlog

from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.secrets import masked
from watchkeeper.daemon.core.counting import Happened
from watchkeeper.daemon.core.pipeline import Pipeline
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.core.step import Step
from watchkeeper.daemon.exit_codes import FAILED, OK, UNAVAILABLE
from watchkeeper.daemon.loop import Loop
from watchkeeper.daemon.paging import restrained
from watchkeeper.daemon.remedies import Remedies
from watchkeeper.daemon.reporting.metrics import Stage
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.faults import DatabaseFault, StorageError
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import OutboxRow
from watchkeeper.daemon.transport.codec import Decoded
from watchkeeper.daemon.transport.file import FileSource
from watchkeeper.daemon.transport.ports import Partition, SourceError
from watchkeeper.daemon.transport.records import Records
from watchkeeper.detectors.run_length import RunLength
from watchkeeper.detectors.types import Command, Finding, moment
from watchkeeper.handlers.rules import RULES
from watchkeeper.handlers.types import Action, Incident, Mode, Outcome

log = structlog.get_logger()

Policies = Callable[[str], ModelPolicy]


class NotEmpty(Exception):
    """The database holds a record already."""


class Report(msgspec.Struct):
    """What a replay brought to light, in the order in which it came about.

    `late` are the events whose window had closed when they were read, and `unmatched` the labels
    without a prediction; `uncalibrated` names the watches that may not page yet, by model.
    """

    events: int = 0
    refused: dict[str, int] = {}
    late: int = 0
    unmatched: int = 0
    uncalibrated: dict[str, list[str]] = {}
    findings: list[Finding] = []
    incidents: dict[str, Incident] = {}
    actions: dict[str, Action] = {}


@dataclass
class Quiet:
    """Stands where the executor and the reporter stand: does nothing, tells nobody, counts."""

    report: Report = field(default_factory=Report)

    def submit(self, action: Action) -> object:
        return None

    def outcomes(self) -> list[Outcome]:
        return []

    def rows(self, step: Step, decoded: Decoded, at: float) -> list[OutboxRow]:
        return []

    def observe(self, step: Step, records: Records, decoded: Decoded) -> None:
        self.report.events += len(records)
        for letter in decoded.dead:
            self.report.refused[letter.reason] = self.report.refused.get(letter.reason, 0) + 1
        self.report.late += int(step.counts.n[Happened.LATE].sum())
        self.report.unmatched += int(step.counts.n[Happened.UNMATCHED].sum())
        self.report.findings += step.findings
        self.report.incidents.update(step.incidents)
        self.report.actions.update(step.actions)

    def stage(self, name: Stage) -> AbstractContextManager[None]:
        return nullcontext()

    def answered(self, command: Command) -> str:
        return "refused: a replay asks for nothing"

    def committed(self) -> None:
        return None

    def released(self, partitions: Iterable[Partition]) -> None:
        return None

    def database_away(self, seconds: float, reason: str) -> None:
        return None

    def source_away(self, seconds: float, reason: str) -> None:
        return None

    def rebalanced(self, at: float) -> None:
        return None


def replay(
    config: Config,
    files: Sequence[Path],
    *,
    output: Literal["table", "json"] = "table",
    database: str | None = None,
) -> int:
    """Runs the files, oldest first, through the pipeline and prints what it found.

    A database that holds the record of an earlier run is refused, since the events would be judged
    by what was learned of them then.
    """
    named, quiet = masked(database or "of its own"), Quiet()
    with ExitStack() as stack:
        kept = _empty(database) if database is not None else empty_store()
        try:
            paging = _paging(config, quiet.report)
            report = replayed(config, files, stack.enter_context(kept), quiet, paging)
        except SourceError as error:
            return _failed(FAILED, str(error))
        except NotEmpty as error:
            return _failed(FAILED, f"database {named}: {error}")
        except (DatabaseFault, StorageError, OSError) as error:
            reason = str(error).partition("\n")[0]
            return _failed(UNAVAILABLE, f"database {named}: {reason}")
    click.echo(_json(report) if output == "json" else _table(report))
    return OK


@contextmanager
def _empty(url: str) -> Iterator[Store]:
    """The store of a database that holds no record yet."""
    migrate.upgrade(url)
    store = Store(url)
    try:
        if store.records.offsets():
            raise NotEmpty("it holds a record already: name a new one")
        yield store
    finally:
        store.close()


@contextmanager
def empty_store() -> Iterator[Store]:
    """The store of a database that is gone afterwards."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="watchkeeper-"))
        yield stack.enter_context(_empty(f"sqlite:///{folder}/replay.db"))


def _failed(code: int, said: str) -> int:
    click.echo(f"replay: {said}", err=True)
    return code


def replayed(
    config: Config,
    files: Sequence[Path],
    store: Store,
    quiet: Quiet | None = None,
    policy: Policies | None = None,
) -> Report:
    """The report of the files' events, in observe mode: the same events, the same report. The
    policy is that of the configuration if no other is given."""
    quiet = Quiet() if quiet is None else quiet
    observing = _observing(config.policy if policy is None else policy)
    state = State(observing, config.daemon.join_memory_mb << 20)
    handlers = Remedies.planning_only(config, store, state).handlers()
    for number, path in enumerate(files, 1):
        # Two files of one name are two topics: each is read from its own beginning.
        source = FileSource(path, topic=f"{number}:{path}", max_records=5_000)
        loop = Loop(
            source, {}, Pipeline(state, RULES, handlers), store, quiet, quiet, time.time,
            ticks=False, patience_s=90.0,
        )  # fmt: skip
        try:
            while not source.ended():
                loop.turn(timeout=1.0)
            loop.checkpoint()
        finally:
            source.close()
    return quiet.report


def _paging(config: Config, report: Report) -> Policies:
    """Policies under which only those page who may by what the daemon's database says; the report
    names the others."""

    def given(model: str) -> ModelPolicy:
        policy = config.policy(model)
        if not restrained(policy, model, {})[1]:
            return policy
        allowed, held = restrained(policy, model, _measured(config, model))
        if held:
            report.uncalibrated[model] = [f"{w.signal}/{w.target}:{w.detector}" for w in held]
        return allowed

    return given


def _measured(config: Config, model: str) -> dict[tuple[str, str], RunLength]:
    """The run lengths that were kept of a model's detectors; none where no daemon ever ran."""
    url = config.database.url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return {}
    try:
        with closing(Store(url)) as store:
            return store.calibrations.of([model])
    except (DatabaseFault, StorageError) as error:
        reason = str(error).partition("\n")[0]
        log.warning("what was calibrated is not known", model=model, reason=reason)
        return {}


def _observing(policy: Policies) -> Policies:
    return lambda model: msgspec.structs.replace(policy(model), mode=Mode.OBSERVE, modes={})


def _json(report: Report) -> str:
    return msgspec.json.encode(report).decode()


def _table(report: Report) -> str:
    lines = [f"{report.events} events, {len(report.findings)} findings"]
    lines += [f"refused: {n} {reason}" for reason, n in sorted(report.refused.items())]
    lines += [*_passed_over(report)]
    for incident in report.incidents.values():
        fault = incident.fault
        lines.append("")
        lines.append(f"{incident.id}  {incident.state}  {incident.severity}  {incident.title}")
        lines.append(f"  {fault.kind} ({fault.place}), {fault.confidence:.0%} sure")
        lines += [f"    {e.weight:+.1f} {e.kind}: {e.text}" for e in fault.evidence[:6]]
        lines += [f"  {moment(n.at):%Y-%m-%d %H:%M} {n.text}" for n in incident.timeline]
        lines += _actions(report.actions, incident)
    if not report.incidents:
        lines.append("no incident")
    return "\n".join(lines)


def _passed_over(report: Report) -> Iterator[str]:
    """What was read but not judged, and what was judged but may not page."""
    if report.late:
        yield (
            f"late: {report.late} events, whose windows had closed: files are read as they are, "
            "sort them by time or raise `lateness`"
        )
    if report.unmatched:
        yield f"unmatched: {report.unmatched} labels without a prediction"
    for model, watches in sorted(report.uncalibrated.items()):
        yield f"not calibrated, so opens incidents but pages nobody: {model} {', '.join(watches)}"


def _actions(actions: Mapping[str, Action], incident: Incident) -> list[str]:
    ours = [actions[i] for i in incident.actions if i in actions]
    return [f"  {a.kind} {a.state}: {a.summary} — {a.reason}" for a in ours]
