"""Kernels may come later: nothing waits for them, and nothing is different before and after."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from structlog.testing import capture_logs

from tests.compiled import needs_kernels
from tests.daemon.looped import MODEL, World, drain, fresh
from tests.services import rest
from tests.services.base import free_ports, wait_until
from tests.services.process import Process
from watchkeeper.daemon import kernels
from watchkeeper.daemon.compiling import Compiling, quicken
from watchkeeper.daemon.core.clocks import Clocks
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.core.state import State
from watchkeeper.daemon.transport import batches, batches_arrays, batches_fast
from watchkeeper.daemon.transport.kafka_reading import why_not
from watchkeeper.detectors import fast


@pytest.fixture
def put_off() -> Iterator[None]:
    fast.put_off()
    yield
    fast.take_up()


@needs_kernels
@pytest.mark.usefixtures("put_off")
@pytest.mark.parametrize("turns", [1, 9, 14])
def test_kernels_that_come_later_change_nothing(world: World, turns: int) -> None:
    world.publish(0, 1_500)
    world.publish(1_500, 1_500, failing=0.3)
    plain = world.loop()
    drain(plain)
    plain.checkpoint()
    other = World(fresh(world), world.broker, "other")
    loop = other.loop()
    state = loop.pipeline.state

    for _ in range(turns):
        loop.turn(0.0)
    assert type(state.arrays.clocks) is Clocks
    loop.take_up_anew(lambda: quicken(state))
    drain(loop)
    loop.checkpoint()

    assert fast.available()
    assert type(state.arrays.clocks) is not Clocks
    assert other.dump(loop) == world.dump(plain)
    findings = [f.id for f in world.store.records.findings()]
    assert findings
    assert [f.id for f in other.store.records.findings()] == findings
    assert MODEL in state.models
    other.store.close()


@pytest.fixture
def tried_anew() -> Iterator[None]:
    yield
    batches.choose_again()
    why_not.cache_clear()


@needs_kernels
@pytest.mark.usefixtures("put_off", "tried_anew")
def test_a_compiled_splitter_is_tested_before_it_reads() -> None:
    batches.choose_again()
    assert batches.best() is batches_arrays.split

    with capture_logs() as lines:
        quicken(State(lambda model: ModelPolicy()))

    assert batches.best() is batches_fast.split
    assert why_not.cache_info().currsize == 1
    assert lines == []


@needs_kernels
@pytest.mark.usefixtures("put_off", "tried_anew")
def test_a_compiled_splitter_that_is_wrong_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    right = batches_fast.split

    def wrong(*given: Any) -> batches.Split:
        piece = right(*given)
        piece.at[:1] += 0.001
        return piece

    monkeypatch.setattr(batches_fast, "split", wrong)

    with capture_logs() as lines:
        quicken(State(lambda model: ModelPolicy()))

    assert batches.best() is batches_arrays.split
    assert [line["event"] for line in lines] == ["batches are read without kernels"]
    assert "reads differently" in lines[0]["reason"]
    assert why_not() == ""


@needs_kernels
@pytest.mark.usefixtures("put_off")
def test_it_says_when_kernels_can_be_used() -> None:
    assert kernels.warm()
    assert fast.complete()
    compiling, done = Compiling(), threading.Event()

    compiling.start(done.set)

    assert done.wait(60.0)
    assert not fast.available()  # that is for whoever holds the state
    compiling.stop()


@needs_kernels
@pytest.mark.usefixtures("put_off")
def test_they_are_compiled_by_this_program_whatever_lies_in_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert kernels.warm()
    for name in ("watchkeeper.py", "numba.py"):
        (tmp_path / name).write_text("raise SystemExit('not this one')\n")
    monkeypatch.chdir(tmp_path)
    compiling, done = Compiling(), threading.Event()

    compiling.start(done.set)

    assert compiling._process is not None
    assert "-P" in cast(list[str], compiling._process.args)  # that is what it was given
    assert done.wait(60.0)
    compiling.stop()


@needs_kernels
@pytest.mark.usefixtures("put_off")
def test_where_they_cannot_be_compiled_it_goes_on_without(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WATCHKEEPER_FAST_CACHE", "/proc/nowhere")
    compiling, done = Compiling(), threading.Event()

    compiling.start(done.set)

    wait_until(lambda: compiling._thread and not compiling._thread.is_alive(), 60.0, "the end")
    assert not done.is_set()
    assert "kernels could not be compiled" in capsys.readouterr().out
    compiling.stop()


@needs_kernels
def test_a_daemon_whose_kernels_are_not_compiled_yet_is_alive_at_once(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    file = tmp_path / "watchkeeper.toml"
    file.write_text(
        f'[daemon]\nstate_dir = "{tmp_path}"\nstop_timeout = "3s"\n'
        '[kafka]\nbootstrap_servers = ["127.0.0.1:9"]\n'
        f'[web]\nlisten = "127.0.0.1:{port}"\n'
    )
    program = Path(sys.executable).parent / "watchkeeper"
    cold = {"WATCHKEEPER_FAST_CACHE": str(tmp_path / "kernels")}
    process = Process([program, "-c", file, "run"], tmp_path / "log", env=cold)

    try:
        alive = f"http://127.0.0.1:{port}/livez"
        wait_until(lambda: rest.healthy(alive), 60.0, "a sign of life")
        beside = psutil.Process(process.pid).children()
        compiled = list((tmp_path / "kernels").glob("*/complete-*"))
    finally:
        process.end(signal.SIGTERM)

    assert "going on without them" in process.log.read_text()
    assert [each.cmdline()[-1] for each in beside if each.is_running()] == []
    assert len(beside) == 1
    assert compiled == []
    assert process.wait(1.0) == 0
