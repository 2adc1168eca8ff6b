"""kill -9 at any moment: what is left is what an undisturbed run leaves, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.killing import Kills, check_reference, sqlite
from tests.faults.life import POINTS
from tests.faults.registry import Registry
from tests.faults.size import size
from tests.faults.zygote import Zygote
from tests.services.postgres import Postgres

KILLS, POSTGRES_KILLS, TIMES = size(200, 1_000), size(10, 100), size(1, 50)


@pytest.mark.slow
@pytest.mark.timeout(size(240, 7_200))
def test_random_kills_change_nothing(
    tmp_path: Path,
    models: Registry,
    zygote: Zygote,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("size", f"{KILLS} kills")
    kills = Kills(tmp_path, models, zygote, sqlite, seed=11)
    check_reference(kills.reference)

    kills.kill(KILLS)

    assert kills.done >= KILLS


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.timeout(size(120, 1_200))
def test_random_kills_change_nothing_on_postgresql(
    tmp_path: Path,
    models: Registry,
    zygote: Zygote,
    postgres: Postgres,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("size", f"{POSTGRES_KILLS} kills")
    postgres.start()
    kills = Kills(tmp_path, models, zygote, lambda folder: postgres.fresh_database(), seed=12)
    check_reference(kills.reference)

    kills.kill(POSTGRES_KILLS)

    assert kills.done >= POSTGRES_KILLS


@pytest.mark.slow
@pytest.mark.timeout(size(240, 7_200))
def test_a_crash_at_any_commit_point_changes_nothing(
    tmp_path: Path,
    models: Registry,
    zygote: Zygote,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("size", f"{len(POINTS)} points, {TIMES} crashes each")
    kills = Kills(tmp_path, models, zygote, sqlite, seed=13)

    crashes = kills.crash(TIMES)

    assert min(crashes.values()) >= TIMES


@pytest.mark.timeout(size(120, 1_200))
def test_offsets_that_are_not_kept_are_noticed(
    tmp_path: Path, models: Registry, zygote: Zygote
) -> None:
    kills = Kills(tmp_path, models, zygote, sqlite, seed=14, fault="no offsets", slots=16)

    with pytest.raises(AssertionError, match="round 1 after"):
        kills.kill(3)
