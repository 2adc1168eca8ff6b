"""Base of detectors that judge one sample after the other."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, get_type_hints

import msgspec
import numpy as np

from watchkeeper.detectors.findings import Direction, Finding, Severity
from watchkeeper.detectors.protocols import State, StateError
from watchkeeper.detectors.samples import Sample, Samples, Window


@dataclass
class EachSample:
    """Base for detectors that judge one value at a time: write `judge` and plain scalar state.

    The state is every field whose name begins with `_`; `min_n` events are needed for a judgement.
    """

    name: ClassVar[str] = ""
    state_version: ClassVar[int] = 1

    severity: Severity = Severity.INFO
    min_n: int = 30

    def judge(self, sample: Sample) -> Finding | None:
        """The finding of one sample with `n >= min_n` and a finite value, if there is one."""
        raise NotImplementedError

    def update(self, samples: Samples) -> list[Finding]:
        found = []
        for i in range(len(samples)):
            if samples.n[i] < self.min_n or not np.isfinite(samples.value[i]):
                continue
            finding = self.judge(_sample(samples, i))
            if finding is not None:
                found.append(finding)
        return found

    def state(self) -> State:
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name.startswith("_")}
        return {"version": self.state_version, **kept}

    def restore(self, state: State) -> None:
        names = {f.name for f in fields(self) if f.name.startswith("_")}
        if state.get("version") != self.state_version or set(state) != names | {"version"}:
            raise StateError(f"{self.name}: stored state has another layout")
        hints = get_type_hints(type(self), include_extras=True)
        try:
            kept = {name: msgspec.convert(state[name], hints[name]) for name in names}
        except msgspec.ValidationError as error:
            raise StateError(f"{self.name}: stored state is damaged: {error}") from error
        for name, value in kept.items():
            setattr(self, name, value)

    def finding(
        self,
        sample: Sample,
        *,
        statistic: float,
        threshold: float,
        expected: float = float("nan"),
        direction: Direction = "either",
        since: float | None = None,
    ) -> Finding:
        """A finding of this detector about this sample."""
        return Finding(
            series=sample.series,
            detector=self.name,
            severity=self.severity,
            since=sample.window.start if since is None else since,
            at=sample.window.end,
            value=float(sample.value),
            expected=float(expected),
            statistic=float(statistic),
            threshold=float(threshold),
            n=int(sample.n),
            direction=direction,
        )


def _sample(samples: Samples, i: int) -> Sample:
    counts, expected = samples.counts, samples.expected_counts
    return Sample(
        series=samples.series,
        window=Window(float(samples.start[i]), float(samples.at[i])),
        value=float(samples.value[i]),
        n=int(samples.n[i]),
        stderr=float(samples.stderr[i]),
        expected=float(samples.expected[i]),
        counts=None if counts is None else counts[i],
        expected_counts=None if expected is None else expected[i],
    )
