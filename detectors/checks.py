"""What every detector must do: the conformance checks, for ours and for plugins.

Give `CHECKS` a function that makes a fresh detector; each check raises `CheckFailed` with the
reason where the detector breaks the contract of `watchkeeper.detectors.types.Detector`:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_mine_conforms(check):
        check(MyDetector)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from watchkeeper.detectors.types import (
    Detector,
    Finding,
    Sample,
    Samples,
    Series,
    Severity,
    State,
    StateError,
    Window,
)

Make = Callable[[], Detector]
_SERIES = Series("model", "1", "signal", "target")
_WIDTH = 60.0
_LONG = 400  # samples of a stream
_STATE_LIMIT = 65_536  # bytes
_GROWTH = 256  # bytes that numbers with more digits may add


class CheckFailed(AssertionError):
    """A detector does not keep the contract."""


def stream(length: int = _LONG, seed: int = 7) -> list[Sample]:
    """A normal stretch, a fault that comes and goes, a silence, and a lasting change."""
    random = np.random.default_rng(seed)
    usual = random.multinomial(2_000, [0.25] * 4)
    samples = []
    for place in range(length):
        share = place / length
        bad = 0.5 <= share < 0.6 or share >= 0.85
        n = 0 if 0.7 <= share < 0.72 else int(random.poisson(300))
        counts = random.multinomial(n, [0.7, 0.1, 0.1, 0.1] if bad else [0.25] * 4)
        samples.append(_sample(place, random.normal(0.9 if bad else 0.1, 0.02), n, counts, usual))
    return samples


def check_declares_itself(make: Make) -> None:
    """It has a name, a severity and says in `sustained` whether it fires as long as a fault."""
    detector = make()
    _expect(isinstance(detector, Detector), "it does not have the members of Detector")
    _expect(bool(detector.name), "its name is empty")
    _expect(isinstance(detector.severity, Severity), "its severity is no Severity")
    _expect(isinstance(getattr(detector, "sustained", None), bool), "`sustained` is no bool")


def check_settings(make: Make) -> None:
    """Every setting has a default and a meaning, and the class a docstring."""
    kind: Any = type(make())
    _expect(is_dataclass(kind), "it is no dataclass")
    _expect(
        bool(kind.__doc__) and f"{kind.__name__}(severity" not in kind.__doc__,
        "it has no docstring",
    )
    for each in fields(kind):
        has_default = each.default is not MISSING or each.default_factory is not MISSING
        _expect(has_default, f"{each.name} has no default")
        told = each.metadata.get("doc") or each.name in ("severity", "min_n")
        _expect(each.name.startswith("_") or bool(told), f"{each.name} has no doc")


def check_is_deterministic(make: Make) -> None:
    """The same samples give the same findings."""
    samples = stream()
    _expect(_run(make(), samples) == _run(make(), samples), "two runs differ")


def check_cuts_do_not_matter(make: Make) -> None:
    """However the samples are cut into calls, the findings are the same."""
    samples = stream()
    whole = _run(make(), samples)
    for size in (1, 2, 7, 64):
        detector, found = make(), []
        for start in range(0, len(samples), size):
            found += detector.update(Samples.of(samples[start : start + size]))
        _expect(found == whole, f"calls of {size} samples give other findings than one call")


def check_state_round_trip(make: Make) -> None:
    """Stored and taken up again before any sample, it goes on as if nothing had happened."""
    samples = stream()
    detector, restored, found = make(), make(), []
    for sample in samples:
        restored = _again(make, restored.state())
        one = Samples.of([sample])
        mine, theirs = detector.update(one), restored.update(one)
        _expect(mine == theirs, f"restored, it differs at {sample.window.end}")
        _expect(_plain(detector.state()) == _plain(restored.state()), "its states differ")
        found += mine
    _expect(found == _run(make(), samples), "asking for the state changes the findings")


def check_state_is_a_copy(make: Make) -> None:
    """A state that was given out does not change with the detector."""
    detector = make()
    detector.update(Samples.of(stream()[:50]))
    state = detector.state()
    before = _plain(state)
    detector.update(Samples.of(stream()[50:]))
    _expect(_plain(state) == before, "a state given out changed afterwards")


def check_state_is_bounded(make: Make) -> None:
    """The state does not go on growing with the stream, and is never large."""
    detector, sizes = make(), []
    samples = stream(_LONG * 10)
    for start in range(0, len(samples), 100):
        _run(detector, samples[start : start + 100])
        sizes.append(len(_plain(detector.state())))
    early, late = max(sizes[: len(sizes) // 2]), max(sizes[len(sizes) // 2 :])
    _expect(max(early, late) <= _STATE_LIMIT, f"its state has {max(early, late)} bytes")
    _expect(late <= 1.5 * early + _GROWTH, f"its state grows: {early}, then {late} bytes")


def check_foreign_state_is_refused(make: Make) -> None:
    """A state of another detector or version, or a damaged one, raises `StateError`."""
    detector = make()
    detector.update(Samples.of(stream()))
    state = detector.state()
    _expect("version" in state, "its state has no version")
    foreign: list[State] = [{}, {**state, "version": -1}, {**state, "_of_another": 1}]
    foreign += [{k: v for k, v in state.items() if k != gone} for gone in state]
    foreign += [{**state, name: "damaged"} for name in state]
    for each in foreign:
        try:
            make().restore(each)
        except StateError:
            continue
        raise CheckFailed(f"it takes up a foreign state: {each}")


def check_odd_numbers(make: Make) -> None:
    """NaN, infinities, huge and equal values, empty windows and a jumping clock do no harm."""
    for name, samples in _odd_streams():
        detector = make()
        try:
            found = _run(detector, samples)
        except (ArithmeticError, ValueError, LookupError, TypeError) as error:
            raise CheckFailed(f"{name}: it raises {error!r}") from error
        for each in found:
            sound = math.isfinite(each.statistic) and math.isfinite(each.threshold)
            _expect(sound, f"{name}: statistic {each.statistic}, threshold {each.threshold}")
            _expect(math.isfinite(each.value), f"{name}: value {each.value}")
        _again(make, detector.state())


def check_min_n(make: Make) -> None:
    """Windows of fewer than `min_n` events give no finding and change nothing."""
    detector = make()
    least = int(getattr(detector, "min_n", 0))
    few = [replace(sample, n=least - 1, value=1e6) for sample in stream()]
    before = _plain(detector.state())
    _expect(not _run(detector, few), "it judges windows of fewer than min_n events")
    _expect(least == 0 or _plain(detector.state()) == before, "it learns from too few events")


def check_findings(make: Make) -> None:
    """Findings name the detector, its series and severity, are in order and have a cause."""
    detector = make()
    found = _run(detector, stream())
    for each in found:
        _expect(each.detector == detector.name, "a finding names another detector")
        _expect(each.series == _SERIES, "a finding names another series")
        _expect(each.severity == detector.severity, "a finding has another severity")
        _expect(each.since < each.at, "a finding ends before it begins")
    _expect(all(a.at < b.at for a, b in pairwise(found)), "findings are not in order")


CHECKS: Sequence[Callable[[Make], None]] = (
    check_declares_itself,
    check_settings,
    check_is_deterministic,
    check_cuts_do_not_matter,
    check_state_round_trip,
    check_state_is_a_copy,
    check_state_is_bounded,
    check_foreign_state_is_refused,
    check_odd_numbers,
    check_min_n,
    check_findings,
)


def _expect(holds: bool, reason: str) -> None:
    if not holds:
        raise CheckFailed(reason)


def _run(detector: Detector, samples: list[Sample]) -> list[Finding]:
    return detector.update(Samples.of(samples))


def _plain(state: State) -> bytes:
    return msgspec.msgpack.encode(state)


def _again(make: Make, state: State) -> Detector:
    detector = make()
    plain: dict[str, Any] = msgspec.msgpack.decode(_plain(state))
    detector.restore(plain)
    return detector


def _sample(place: int, value: float, n: int, counts: Any, usual: Any) -> Sample:
    window = Window(place * _WIDTH, (place + 1) * _WIDTH)
    error = 0.35 / math.sqrt(max(n, 1))
    return Sample(_SERIES, window, value, n, error, 0.1, counts, usual)


def _odd_streams() -> Iterator[tuple[str, list[Sample]]]:
    usual = stream()
    nan, inf = math.nan, math.inf
    for odd in (nan, inf, -inf, 1e308, -1e308, 5e-324, 0.0):
        yield f"value {odd}", _mixed(usual, value=odd)
        yield f"always value {odd}", [replace(s, value=odd) for s in usual]
        yield f"error {odd}", [replace(s, stderr=odd) for s in usual]
        yield f"expected {odd}", [replace(s, expected=odd) for s in usual]
    yield "equal", [replace(s, value=3.0, stderr=0.0, expected=3.0) for s in usual]
    yield "one window", usual[:1]
    yield "no events", [replace(s, n=0, value=0.0) for s in usual]
    yield "signs", [replace(s, value=(-1.0) ** i * 1e308) for i, s in enumerate(usual)]
    for name, window in (
        ("clock back", Window(-1e9, -1e9 + 1)),
        ("clock far ahead", Window(1e15, 1e15 + 1)),
        ("window without width", Window(9.0, 9.0)),
        ("window backwards", Window(9.0, 8.0)),
    ):
        yield name, _mixed(usual, window=window)
    yield from _odd_histograms(usual)


def _odd_histograms(usual: list[Sample]) -> Iterator[tuple[str, list[Sample]]]:
    for name, counts in (
        ("empty", [0, 0, 0, 0]),
        ("one bin", [300, 0, 0, 0]),
        ("huge", [2**62, 1, 2**62, 0]),
        ("negative", [-5, 300, 2, 3]),
    ):
        odd = np.array(counts, dtype=np.int64)
        yield f"{name} histogram", [replace(s, counts=odd) for s in usual]
        yield f"{name} reference", [replace(s, expected_counts=odd) for s in usual]
    yield "no histogram", [replace(s, counts=None) for s in usual]


def _mixed(samples: list[Sample], **odd: Any) -> list[Sample]:
    return [replace(s, **odd) if i % 40 == 39 else s for i, s in enumerate(samples)]
