"""Whether two runs of the naive checks said the same of the faulty stream."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.bench.planned import FAULT_AT, STREAMS, Unequal
from tests.bench.said import Said
from tests.bench.traffic import BEGIN


def same_alarms(known: Path, theirs: Path) -> int:
    """How many alarms two runs of the naive checks gave of the predictions and labels that both
    have read; Unequal if they are not the same, or none is of the fault."""
    shape = STREAMS["fault"]
    lead = shape.lead
    one, other = (msgspec.json.decode(file.read_bytes(), type=Said) for file in (known, theirs))
    read = min(one.predictions, other.predictions, one.labels + lead, other.labels + lead)
    until = BEGIN + (read - 0.5) * shape.spacing_us / 1e6
    ours, found = (sorted(at for at in each.alarms if at < until) for each in (one, other))
    if not ours or ours[-1] <= FAULT_AT:
        raise Unequal(f"no alarm of the fault in the {read} predictions that both have read")
    if ours != found:
        raise Unequal(f"{len(found)} alarms, not the {len(ours)} of the naive loop, or at others")
    return len(ours)
