"""What happens to the application: its versions, its traffic, and what goes wrong when.

Event time is made up, and only it matters: four requests a second from a fixed moment on, so that
a window of a minute holds 240 of them however fast they are played.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from tests.e2e.census import NUMERIC, Census, Columns, Truth, relabelled
from tests.e2e.serving import Scores, Served
from watchkeeper.detectors.types import (
    Change,
    Event,
    EventKind,
    Label,
    Prediction,
    PredictionValue,
    Scalar,
    moment,
)

NEVER = 1e9
START = 1_767_603_600.0  # 2026-01-05 09:00 UTC, a Monday
PER_S = 4
WINDOW_S = 60.0
SLOT_S = 15.0  # what is published at once; a version goes live at the beginning of a slot
_SLOT_N = int(SLOT_S * PER_S)
_LABEL_DELAY_S = 180.0
_LABEL_SPREAD_S = 45.0


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the application. Times are event time in seconds after the start.

    `versions` holds the model files by version; the first one is live. `deploy_at` makes `deployed`
    live. The value of `nulled` is missing between `nulled_from` and `nulled_to`. From
    `relabelled_from` on the truth follows another rule.
    """

    model: str
    versions: dict[str, str]
    seconds: float
    deployed: str = ""
    deploy_at: float = NEVER
    nulled: str = ""
    nulled_from: float = NEVER
    nulled_to: float = NEVER
    relabelled_from: float = NEVER


class Said(NamedTuple):
    """An event with its kind and the time it is published at."""

    at: float
    kind: EventKind
    event: Event


@dataclass
class Traffic:
    """Everything the application publishes by itself, slot by slot, in order of time.

    Deterministic: it depends on the scenario and on which version is live in each slot, not on
    when it is asked.
    """

    scenario: Scenario
    census: Census
    live: str = ""
    served: dict[str, Served] = field(default_factory=dict)
    changes: int = 0
    _slot: int = 0
    _labels: list[Said] = field(default_factory=list)
    _truth: tuple[Truth, Truth] | None = None

    def __post_init__(self) -> None:
        if len(self.census) < self.scenario.seconds * PER_S:
            raise ValueError("there are not enough records for so long a scenario")
        if not self.live:
            self.live = next(iter(self.scenario.versions))
        self._truth = self.census.employed, relabelled(self.census)

    @property
    def now(self) -> float:
        """The event time at which the next slot begins, in seconds after the start."""
        return self._slot * SLOT_S

    @property
    def ended(self) -> bool:
        """Whether the scenario is over."""
        return self.now >= self.scenario.seconds

    def add(self, version: str, path: Path) -> None:
        """Loads a version that the scenario did not know."""
        self.served[version] = Served(path)

    def knows(self, version: str) -> bool:
        """Whether a version can be made live."""
        return version in self.served or version in self.scenario.versions

    def go_live(self, version: str, actor: str) -> Said:
        """Makes a version live from the next slot on; the change to publish."""
        at = START + self.now
        self.changes += 1
        change = Change(
            id=f"change-{self.scenario.model}-{self.changes}",
            time=moment(at),
            model_name=self.scenario.model,
            kind="deployment" if actor == "release-pipeline" else "rollback",
            model_version=version,
            previous_version=self.live,
            description=f"{self.live} -> {version}",
            actor=actor,
        )
        self.live = version
        return Said(at, "change", change)

    def slot(self) -> list[Said]:
        """The next slot's events, and the labels that have come due."""
        begin = self.now
        said = []
        if begin <= self.scenario.deploy_at < begin + SLOT_S:
            said.append(self.go_live(self.scenario.deployed, "release-pipeline"))
        first = self._slot * _SLOT_N
        self._slot += 1
        part = self.census.part(first, first + _SLOT_N)
        columns = self._broken(part.columns, begin)
        answers = self._served(self.live).answer(columns)
        said.extend(self._predictions(first, columns, *answers))
        self._labels.extend(self._truths(first, len(part)))
        said.extend(self._due(START + self.now))
        return sorted(said, key=lambda each: (each.at, each.kind))

    def _served(self, version: str) -> Served:
        if version not in self.served:
            self.add(version, Path(self.scenario.versions[version]))
        return self.served[version]

    def _broken(self, columns: Columns, begin: float) -> Columns:
        if not self.scenario.nulled_from <= begin < self.scenario.nulled_to:
            return columns
        nulled = self.scenario.nulled
        missing = np.full(len(columns[nulled]), np.nan if nulled in NUMERIC else None)
        return {**columns, nulled: missing}

    def _predictions(
        self, first: int, columns: Columns, labels: list[str], scores: Scores
    ) -> Iterator[Said]:
        # How long an answer took is drawn: measured times of a batch at several hundred times
        # the speed of life would tell nothing of a single request.
        took = np.random.default_rng(first).lognormal(math.log(0.012), 0.35, len(labels))
        names = list(columns)
        rows = zip(*(_plain(columns[name]) for name in names), strict=True)
        for i, row in enumerate(rows):
            at = _time_of(first + i)
            request = _request(first + i)
            yield Said(
                at,
                "prediction",
                Prediction(
                    id=f"p-{request}",
                    time=moment(at),
                    model_name=self.scenario.model,
                    model_version=self.live,
                    request_id=request,
                    features=dict(zip(names, row, strict=True)),
                    prediction=PredictionValue(label=labels[i], score=round(float(scores[i]), 6)),
                    duration_s=round(float(took[i]), 5),
                    source="census-scorer",
                ),
            )

    def _truths(self, first: int, count: int) -> Iterator[Said]:
        assert self._truth is not None
        spread = np.random.default_rng(first + 1).random(count) * _LABEL_SPREAD_S
        for i in range(count):
            predicted = _time_of(first + i)
            at = round(predicted + _LABEL_DELAY_S + float(spread[i]), 3)
            changed = predicted - START >= self.scenario.relabelled_from
            request = _request(first + i)
            label = Label(
                id=f"l-{request}",
                time=moment(at),
                model_name=self.scenario.model,
                request_id=request,
                label=str(self._truth[changed][first + i]),
            )
            yield Said(at, "label", label)

    def _due(self, end: float) -> list[Said]:
        due = [each for each in self._labels if each.at < end]
        self._labels = [each for each in self._labels if each.at >= end]
        return due


def _time_of(number: int) -> float:
    return START + number / PER_S


def _request(number: int) -> str:
    return f"r{number:06d}"


def _plain(column: object) -> list[Scalar]:
    assert isinstance(column, np.ndarray)
    return [None if v is None or v != v else v for v in column.tolist()]
