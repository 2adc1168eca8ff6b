"""Three members share a log while they come, go, freeze and die: nothing lost, nothing double."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.group import Group, Log, sharing, undisturbed
from tests.faults.rebalancing import Unrest
from tests.faults.size import size
from tests.faults.zygote import Zygote
from tests.services.brokers import Broker
from tests.services.postgres import Postgres

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.alone]

REBALANCES = size(100, 500)
PARTITIONS = 6
SILENT_S = 60.0
SLOTS = size(1_000, 10_000)


@pytest.fixture
def ending() -> Iterator[ExitStack]:
    """Ends what a test has begun."""
    with ExitStack() as stack:
        yield stack


def unrest(
    folder: Path,
    zygote: Zygote,
    kafka: Broker,
    postgres: Postgres,
    ending: ExitStack,
    rebalances: int,
    assignor: str,
    sabotage: str = "",
) -> None:
    """Rebalances so many times and compares with what one undisturbed member has found."""
    postgres.start()
    log = Log(kafka.bootstrap, PARTITIONS)
    ending.callback(log.close)
    profile = "low_latency" if assignor == "range" else "default"
    settings = {"session_s": 1.2, "assignor": assignor, "profile": profile, "sabotage": sabotage}
    group = Group(folder, zygote, log, postgres.fresh_database(), settings=settings)
    ending.callback(group.close)
    stream = sharing(PARTITIONS, slots=SLOTS, per_slot=30)
    trouble = Unrest(group, stream, random.Random(rebalances), rebalances)

    trouble.run()
    group.wait_read(SILENT_S)
    trouble.silence.look()
    for name in list(group.members):
        assert group.leave(name) == 0

    alone = Group(folder, zygote, log, postgres.fresh_database(), settings={"session_s": 6.0})
    reference = undisturbed(alone, 60.0)
    left = group.left()
    assert {e["model"] for e in reference.incidents} >= {"beta", "gamma"}
    assert not left.differences(reference), f"{trouble.done}: {left.differences(reference)}"
    assert max(left.findings.values()) == 1
    assert trouble.silence.longest < SILENT_S, trouble.silence.where
    assert group.generations >= rebalances


@pytest.mark.timeout(size(420, 3_600))
@pytest.mark.parametrize(
    ("assignor", "rebalances"),
    [("range", REBALANCES // 2), ("cooperative-sticky", REBALANCES // 2)],
)
def test_rebalances_lose_and_double_nothing(
    tmp_path: Path,
    zygote: Zygote,
    durable_kafka: Broker,
    postgres: Postgres,
    ending: ExitStack,
    assignor: str,
    rebalances: int,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("size", f"{rebalances} rebalances, {PARTITIONS} partitions")
    unrest(tmp_path, zygote, durable_kafka, postgres, ending, rebalances, assignor)


@pytest.mark.timeout(180)
def test_records_that_are_passed_over_are_noticed(
    tmp_path: Path, zygote: Zygote, durable_kafka: Broker, postgres: Postgres, ending: ExitStack
) -> None:
    with pytest.raises(AssertionError, match="instead of"):
        unrest(tmp_path, zygote, durable_kafka, postgres, ending, 12, "range", "starts late")
