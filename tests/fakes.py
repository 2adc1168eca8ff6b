"""Small typed stand-ins for the world around the code under test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from watchkeeper.detectors.types import Scalar
from watchkeeper.handlers.comparing import Comparison
from watchkeeper.handlers.errors import Refused
from watchkeeper.handlers.left_out import LeftOut
from watchkeeper.handlers.scorer import NOTHING, Unscorable
from watchkeeper.handlers.targets.registry import Artefact, NewVersion
from watchkeeper.handlers.types import Outcome, Phase

T = TypeVar("T")


class Crash(BaseException):
    """The process ends here: nothing after it happens, and no handler may catch it."""


@dataclass
class FakeDeployer:
    """A target that keeps one live version and honours no key: only looking first protects it.

    The process crashes before the calls of the target whose numbers are in `crash_before`, and
    after those in `crash_after`; calls are counted over all restarts.
    """

    live: str | None = "v2"
    versions: list[str] = field(default_factory=lambda: ["v1", "v2", "v3"])
    switches: list[str] = field(default_factory=list)
    crash_before: set[int] = field(default_factory=set)
    crash_after: set[int] = field(default_factory=set)
    calls: int = 0
    fail: Exception | None = None

    def current(self, model: str) -> str | None:
        self._enter()
        return self._leave(self.live)

    def available(self, model: str) -> list[str]:
        self._enter()
        return self._leave(list(self.versions))

    def switch(self, model: str, version: str, key: str) -> None:
        self._enter()
        if version not in self.versions:
            raise Refused(f"no version {version}")
        if self.live != version:
            self.switches.append(version)
            self.live = version
        self._leave(None)

    def verify(self, model: str) -> str | None:
        self._enter()
        return self._leave(self.live)

    def _enter(self) -> None:
        self.calls += 1
        if self.calls in self.crash_before:
            raise Crash
        if self.fail is not None:
            raise self.fail

    def _leave(self, answer: T) -> T:
        if self.calls in self.crash_after:
            raise Crash
        return answer


@dataclass
class FakeScorer:
    """Gives the comparison it was made with; without one the versions cannot be compared."""

    comparison: Comparison | None = None
    asked: list[tuple[str, str, str, float | None]] = field(default_factory=list)
    left_out: LeftOut = NOTHING

    def compare(
        self,
        model: str,
        current: str,
        target: str,
        since: float | None = None,
        left_out: LeftOut = NOTHING,
    ) -> Comparison:
        self.asked.append((model, current, target, since))
        self.left_out = left_out
        if self.comparison is None:
            raise Unscorable("only 3 labelled examples")
        return self.comparison


@dataclass
class FakeRegistry:
    """The daemon's registry in memory, with what happened to it."""

    lives: dict[str, str] = field(default_factory=lambda: {"churn": "v2"})
    known: dict[str, list[str]] = field(default_factory=lambda: {"churn": ["v1", "v2", "v3"]})
    files: dict[tuple[str, str], Artefact] = field(default_factory=dict)
    changes: list[tuple[str, str]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def live(self, model: str) -> str | None:
        return self.lives.get(model)

    def versions(self, model: str) -> list[str]:
        return list(self.known.get(model, ()))

    def set_live(self, model: str, version: str, by: str, reason: str, key: str) -> None:
        if key in self.keys:
            return
        self.keys.add(key)
        self.lives[model] = version
        self.changes.append((model, version))

    def artefact(self, model: str, version: str) -> Artefact | None:
        return self.files.get((model, version))

    def add(self, model: str, new: NewVersion, key: str) -> None:
        if key in self.keys:
            return
        self.keys.add(key)
        self.known.setdefault(model, []).append(new.version)
        self.files[model, new.version] = new.artefact


@dataclass
class FakeApplication:
    """An application that obeys each order once, answers it, and whose stream shows the version.

    `phase` None: it never answers. `obeys` False: it answers, but does nothing.
    """

    version: str = "v2"
    phase: Phase | None = Phase.SUCCESSFUL
    obeys: bool = True
    orders: dict[str, tuple[str, dict[str, Scalar]]] = field(default_factory=dict)
    switches: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)

    def request(
        self, key: str, model: str, verb: str, args: Mapping[str, Scalar], timeout: float
    ) -> None:
        if key in self.orders:
            return
        self.orders[key] = (verb, dict(args))
        if verb == "switch" and args["version"] not in self.known_versions(model):
            self.unknown.add(key)
            return
        if verb == "switch" and self.obeys and self.phase is Phase.SUCCESSFUL:
            self.version = str(args["version"])
            self.switches.append(self.version)

    def answer(self, key: str, timeout: float) -> Outcome | None:
        if self.phase is None:
            return None
        if key in self.unknown:
            return Outcome(key, "churn", Phase.FAILED, "no such version", 0.0)
        return Outcome(key, "churn", self.phase, "so be it", 0.0)

    def live_version(self, model: str) -> str | None:
        return self.version

    def known_versions(self, model: str) -> list[str]:
        return ["v1", "v2", "v3"]
