"""Writes and syncs of the database fail at any moment: nothing is lost, and nothing done twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.disk import KINDS, reachable
from tests.faults.killing import Kills, check_reference, sqlite
from tests.faults.registry import Registry
from tests.faults.size import size
from tests.faults.test_storage import whole
from tests.faults.zygote import Zygote

ROUNDS = size(8, 500)


@pytest.mark.slow
@pytest.mark.skipif(not reachable(), reason="SQLite is built into Python here")
@pytest.mark.timeout(size(1_200, 43_200))
def test_a_disk_that_fails_at_times_changes_nothing(
    tmp_path: Path,
    models: Registry,
    zygote: Zygote,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("size", f"{ROUNDS} rounds")
    kills = Kills(
        *(tmp_path, models, zygote, sqlite),
        seed=31,
        fault="failing disk",
        longest=3.0,
        limit=240.0,
    )
    check_reference(kills.reference)
    chance, failed = random.Random(32), Counter[str]()

    for _ in range(ROUNDS):
        folder = kills.round(chance.choice((0, 0, 1, 3)))
        failed.update((folder / "notes").read_text().splitlines())
        assert whole(folder)

    assert all(failed[kind] >= ROUNDS // 5 for kind in KINDS), failed
