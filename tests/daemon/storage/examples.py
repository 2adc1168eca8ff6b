"""Values for tests of the store and of reporting."""

from __future__ import annotations

import numpy as np

from watchkeeper.daemon.storage import blocks
from watchkeeper.daemon.storage.values import (
    CapturedFrame,
    Channel,
    Checkpoint,
    DeadLetter,
    Kept,
    KeptKind,
    OutboxRow,
)
from watchkeeper.daemon.transport.ports import Partition
from watchkeeper.detectors.blocks import Block, LabelBlock, PredictionBlock
from watchkeeper.detectors.types import Finding, LabelFrame, PredictionFrame, Series, Severity
from watchkeeper.handlers.types import (
    Action,
    ActionState,
    Evidence,
    Fault,
    Incident,
    IncidentState,
    Kind,
    Note,
    action_id,
    incident_id,
)

T0 = 1_790_000_000.0
P0 = Partition("predictions", 0)
P1 = Partition("predictions", 1)
# The ends of what each form of real numbers holds, and what lies just beyond.
ODD = (
    *(0.0, -0.0, 1.0, 0.1, 0.25, 0.7312, 1e-4, 1e-6, 0.123456, 1e-7, 1 / 3),
    *(float("nan"), float("inf"), float("-inf"), float(np.float32(0.1)), 3.5e38, 1e305, 5e-324),
    *(3.2767, 3.2768, -3.2767, -3.2768, 2147.483647, 2147.483648, -2147.483648, 16_777_217.0),
)


def finding(at: float = T0, target: str = "f1", severity: Severity = Severity.CRITICAL) -> Finding:
    return Finding(
        series=Series("fraud", "13", "feature.missing", target),
        detector="threshold",
        severity=severity,
        since=at - 60.0,
        at=at,
        value=0.4,
        expected=float("nan"),
        statistic=12.5,
        threshold=0.1,
        n=1_000,
        direction="up",
    )


def incident(
    opened_at: float = T0,
    state: IncidentState = IncidentState.OPEN,
    severity: Severity = Severity.CRITICAL,
    kind: Kind = Kind.MODEL,
    revision: int = 1,
    model: str = "fraud",
) -> Incident:
    rest = (1.0 - 0.8) / (len(Kind) - 1)
    probabilities = {each: 0.8 if each is kind else rest for each in Kind}
    evidence = (
        Evidence(kind, 3.0, "errors began 40 s after version 13 was deployed"),
        Evidence(Kind.DATA, -2.0, "no feature changed"),
    )
    return Incident(
        id=incident_id(model, opened_at),
        model=model,
        version="13",
        state=state,
        severity=severity,
        title=f"{model} 13: missing values of f1 0% -> 40%",
        opened_at=opened_at,
        updated_at=opened_at + 60.0 * (revision - 1),
        since=opened_at - 120.0,
        fault=Fault(kind, "13", 0.8, probabilities, evidence),
        findings=(finding(opened_at),),
        timeline=(Note(opened_at - 120.0, "version 13 deployed"), Note(opened_at, "opened")),
        revision=revision,
        resolved_at=opened_at + 600.0 if state is IncidentState.RESOLVED else None,
        share=0.25,
    )


def action(
    of: Incident | None = None,
    kind: str = "rollback",
    state: ActionState = ActionState.PERMITTED,
    attempt: int = 1,
    reason: str = "",
) -> Action:
    about = of or incident()
    return Action(
        id=action_id(about.id, kind, attempt, "12"),
        incident_id=about.id,
        model=about.model,
        kind=kind,
        state=state,
        planned_at=about.opened_at + 1.0,
        updated_at=about.opened_at + 1.0,
        summary="put version 12 back",
        args={"to_version": "12", "from_version": "13"},
        reason=reason,
        attempt=attempt,
    )


def predictions(n: int = 5, at: float = T0) -> PredictionFrame:
    none = np.full(n, None, dtype=np.object_)
    country = none.copy()
    country[::2] = "DE"
    ids = none.copy()
    ids[:] = [f"r{at:.0f}-{i}" for i in range(n)]
    return PredictionFrame(
        model="fraud",
        at=at + np.arange(n, dtype=np.float64),
        seq=np.arange(n, dtype=np.int64),
        version="13",
        request_id=ids,
        entity=none,
        duration_s=np.linspace(0.001, 0.2, n),
        status=np.zeros(n, dtype=np.int64),
        label=none,
        score=np.where(np.arange(n) % 2 == 0, np.nan, 0.5),
        value=np.full(n, np.nan),
        output_valid=np.arange(n) % 3 == 0,
        numeric={"amount": np.array([0.1] * n), "age": np.full(n, -0.0)},
        categorical={"country": country},
    )


def labels(n: int = 5, at: float = T0) -> LabelFrame:
    words = np.full(n, "yes", dtype=np.object_)
    return LabelFrame(
        model="fraud",
        at=at + np.arange(n, dtype=np.float64),
        seq=np.arange(n, dtype=np.int64),
        request_id=words,
        label=words,
        value=np.full(n, np.nan),
    )


def dead_letter(offset: int = 7) -> DeadLetter:
    return DeadLetter(
        topic="predictions",
        partition=0,
        offset=offset,
        reason="syntax",
        path="$.features",
        message="a NUL \x00 in it",
        at=T0,
        key=b"fraud",
        value=b"\xff\x00{",
        headers=(("h", b"1"), ("none", None)),
    )


def letter(
    name: str = "m1", incident: str | None = "inc-1", channel: Channel = "sentry"
) -> OutboxRow:
    return OutboxRow(
        id=name,
        channel=channel,
        payload=b'{"a": 1}',
        created_at=T0,
        incident_id=incident,
        headers=(("ce_id", b"1"),),
    )


def kept(*frames: CapturedFrame, kind: KeptKind = "whole") -> list[Kept]:
    """Frames as they are kept."""
    return [
        Kept(0, kind, PredictionBlock.of(f) if isinstance(f, PredictionFrame) else LabelBlock.of(f))
        for f in frames
    ]


def stored(block: Block) -> bytes:
    """A block as it is stored."""
    return blocks.encode(blocks.pack(block))


def checkpoint(epoch: int, offset: int = 10, at: float = T0) -> Checkpoint:
    """One of everything."""
    about = incident()
    return Checkpoint(
        at=at,
        epochs={P0: epoch},
        offsets={P0: offset},
        states={"fraud": (0, {"version": 1, "offset": offset, "mean": 0.1 + 0.2})},
        findings=[finding()],
        incidents=[about],
        actions=[action(about)],
        kept=kept(predictions(), labels()),
        dead_letters=[dead_letter()],
        outbox=[letter()],
    )
