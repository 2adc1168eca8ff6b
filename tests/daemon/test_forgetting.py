"""What is no longer needed goes, and what may still be asked for stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.daemon.storage.examples import T0, finding, kept, letter, predictions
from tests.daemon.wired import made_in
from watchkeeper.daemon.config import Config
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.forgetting import Forgetting
from watchkeeper.daemon.service import Daemon
from watchkeeper.daemon.storage.values import Checkpoint
from watchkeeper.daemon.transport.memory import MemoryBroker
from watchkeeper.detectors.blocks import models_of

YEAR_S = 365 * 86_400.0


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon whose topics hold nothing."""
    made = made_in(tmp_path, MemoryBroker())
    yield made
    made.close()


def forget(daemon: Daemon, config: Config | None = None) -> None:
    Forgetting(config or daemon.config, daemon.store, daemon.loop, daemon.jobs, lambda: T0).forget()


def test_old_rows_are_dropped(daemon: Daemon) -> None:
    store = daemon.store
    found = [finding(T0 - YEAR_S), finding(T0)]
    store.commit(Checkpoint(at=T0, epochs={}, findings=found, outbox=[letter("old")]))
    store.letters.sent(["old"], T0 - YEAR_S)

    forget(daemon)

    assert [each.at for each in store.records.findings()] == [T0]
    assert store.letters.prune(before=T0) == 0


def test_the_journal_of_a_past_that_is_read_today_is_kept(daemon: Daemon) -> None:
    past = predictions(at=T0 - YEAR_S)
    daemon.store.commit(Checkpoint(at=T0, epochs={}, kept=kept(past)))

    forget(daemon)

    assert len(daemon.store.captured("fraud")) == 1


def sampled_in(tmp_path: Path) -> tuple[Daemon, Config]:
    """A daemon with 36 stored requests of a model that keeps a sample, and as many of one that
    does not; where joins reach back to no more than one."""
    daemon = made_in(tmp_path, MemoryBroker({"watchkeeper.predictions": 1}))
    daemon.loop.turn(0.0)
    state = daemon.loop.pipeline.state
    rows = {name: state.model(name).row for name in ("sampled", "whole")}
    state.arrays.joins.sampling.change(rows["sampled"], 2)
    frames = [replace(predictions(n=4, at=T0 + i), model=name) for i in range(9) for name in rows]
    epochs = dict(daemon.loop._holdings.epochs)
    states = {name: (0, state.dump(name)) for name in rows}
    joins = kept(*frames, kind="join")
    daemon.store.commit(Checkpoint(at=T0, epochs=epochs, states=states, kept=joins))
    small = msgspec.structs.replace(daemon.config.defaults, join_capacity=1)
    config = msgspec.structs.replace(daemon.config, defaults=small)
    state._policies.clear()
    state._policy = config.policy
    return daemon, config


def blocks_of(daemon: Daemon) -> Counter[str]:
    return Counter(model for b in daemon.store.joins({0}, T0).blocks for model in models_of(b)[0])


def test_nothing_is_dropped_while_models_are_taken_up(tmp_path: Path) -> None:
    """Then their partitions are owned again, but how far their joins reach is not known yet."""
    daemon, config = sampled_in(tmp_path)
    state = daemon.loop.pipeline.state
    held: list[int] = []

    def policy(name: str) -> ModelPolicy:
        held.append(len(state.models))  # asked for when a model is about to be loaded
        forget(daemon, config)
        return config.policy(name)

    state._policy = policy
    daemon.loop.take_up_anew(lambda: None)
    daemon.loop.turn(0.0)

    left = blocks_of(daemon)
    daemon.close()
    assert held == [0, 1]
    assert left == {"sampled": 9, "whole": 9}


def test_what_a_join_reaches_back_to_is_kept(tmp_path: Path) -> None:
    """Where labels come late a sample is kept of many more requests."""
    daemon, config = sampled_in(tmp_path)

    forget(daemon, config)

    left = blocks_of(daemon)
    daemon.close()
    assert left == {"sampled": 2, "whole": 1}
