"""A panel's verdicts do not hang on how they are come by."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from tests.compiled import needs_kernels
from tests.detectors.banks.twins import windows
from watchkeeper.daemon.core.panel import Panel, Verdicts
from watchkeeper.daemon.core.policy import Suite
from watchkeeper.detectors.arrays.sampling import targets_of
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.banks import Columns, Judged
from watchkeeper.detectors.suite import DEFAULT_WATCHES, Watch

SCHEMA = Schema(
    profiled=True,
    numeric=("amount", "age"),
    categorical=("country",),
    score=True,
    classes=("no", "yes"),
    positive="yes",
)
LOW = Watch(signal="latency", detector="threshold", target="p9*", settings={"above": 0.01})
SUITE = Suite(watches=(*DEFAULT_WATCHES, LOW), without=("features/age:*",))
MEMBERS = [7, 3, 12]


def stream(seed: int, count: int) -> list[list[Columns]]:
    """Windows of all groups of the schema, one after another."""
    random, groups = np.random.default_rng(seed), []
    for each in targets_of(SCHEMA):
        shaped = Watch(signal=each.signal, detector="psi")
        made = windows(random, shaped, (len(MEMBERS), len(each.targets)), count, odd=0.03)
        groups.append([replace(samples, targets=each.targets) for samples in made])
    first = groups[0]
    return [
        [replace(group[i], start=first[i].start, at=first[i].at) for group in groups]
        for i in range(count)
    ]


def same(one: Verdicts, other: Verdicts) -> int:
    """Whether two say the same to the last bit; how many findings there are."""
    assert one.found == other.found == bool(other.judged.found.any())
    np.testing.assert_array_equal(one.judged.enough, other.judged.enough)
    np.testing.assert_array_equal(one.judged.found, other.judged.found)
    assert one.samples.targets == other.samples.targets == one.post.targets
    found = other.judged.found
    for each in fields(Judged)[2:]:
        here, there = (getattr(v.judged, each.name)[found] for v in (one, other))
        assert here.tobytes() == there.tobytes()
    return int(found.sum())


@needs_kernels
def test_all_posts_at_once_judge_as_each_does_by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Panel.of(SUITE, SCHEMA), Panel.of(SUITE, SCHEMA)
    assert len(one.posts) > 25
    found = 0

    for groups in stream(1, 120):
        by_loops = one.judge(MEMBERS, groups)
        with monkeypatch.context() as without:
            without.setenv("WATCHKEEPER_FAST", "0")
            by_numpy = other.judge(MEMBERS, groups)
        found += sum(same(*both) for both in zip(by_loops, by_numpy, strict=True))

    assert found > 100
    assert [one.dump(member) for member in MEMBERS] == [other.dump(member) for member in MEMBERS]


def test_the_verdicts_of_a_post_are_about_its_own_series() -> None:
    panel = Panel.of(SUITE, SCHEMA)
    for groups in stream(2, 40):
        for verdicts in panel.judge(MEMBERS, groups):
            post, judged = verdicts.post, verdicts.judged
            group = groups[post.group]
            mine = [group.targets.index(target) for target in post.targets]
            enough = group.given[:, mine] & np.isfinite(group.value[:, mine])

            assert judged.found.shape == (len(MEMBERS), len(post.targets))
            assert not (judged.enough & ~enough).any()


def test_nobody_stands_watch_over_nothing() -> None:
    assert Panel.of(Suite(), SCHEMA).judge(MEMBERS, stream(3, 1)[0]) == []
