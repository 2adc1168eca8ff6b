"""Jobs: begun once, found again after the daemon was killed, ended at their limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.daemon.actions.job_parent import PATIENT, order
from tests.services.base import wait_until
from watchkeeper.daemon.actions.jobs import JobRunner
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Job
from watchkeeper.handlers.errors import Interrupted
from watchkeeper.handlers.retrain.retrain import JobFailed

_ROOT = Path(__file__).parents[3]
_DONE = "import sys; open(sys.argv[1] + '/result.json', 'w').write('done')"


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/watchkeeper.db"
    migrate.upgrade(url)
    return url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()


@pytest.fixture
def runner(store: Store, tmp_path: Path) -> JobRunner:
    return JobRunner(store.jobs, tmp_path / "jobs", poll_s=0.02, grace_s=1.0)


def _nothing(folder: Path) -> None:
    """A job that needs no input."""


def _write_input(folder: Path) -> None:
    (folder / "in").write_text("42")


def _pids(root: Path) -> list[int]:
    """The process ids of all starts so far, once there is one."""
    starts = root / "starts"
    text = wait_until(lambda: starts.exists() and starts.read_text(), 30, "a start")
    return [int(line) for line in str(text).split()]


def _state(store: Store, key: str = "act-1") -> str:
    job = store.jobs.get(key)
    assert job is not None
    return job.state


def test_a_job_makes_its_product_in_its_prepared_folder(runner: JobRunner, store: Store) -> None:
    script = (
        "import sys; d = sys.argv[1]; open(d + '/result.json', 'w').write(open(d + '/in').read())"
    )

    folder = runner.run(order(script), _write_input)

    assert (folder / "result.json").read_text() == "42"
    assert _state(store) == "succeeded"


def test_an_ended_job_is_not_run_again(runner: JobRunner, store: Store, tmp_path: Path) -> None:
    first = runner.run(order(_DONE), _nothing)

    again = JobRunner(store.jobs, tmp_path / "jobs").run(order("raise SystemExit(1)"), _nothing)

    assert again == first


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise ValueError('no \\x1b[31m luck')", "ended with 1 without a result.*no .31m luck"),
        ("pass", "ended with 0 without a result"),
        (f"{_DONE}; raise SystemExit(3)", "ended with 3"),
        ("import os; os.kill(os.getpid(), 9)", "ended with -9"),
        ("x = bytearray(1 << 33)", "MemoryError"),
    ],
)
def test_a_failure_is_kept_with_its_reason(
    store: Store, tmp_path: Path, script: str, reason: str
) -> None:
    runner = JobRunner(store.jobs, tmp_path / "jobs", poll_s=0.02, memory=1 << 30)

    for _ in range(2):
        with pytest.raises(JobFailed, match=reason):
            runner.run(order(script), _nothing)

    assert _state(store) == "failed"


def test_a_job_runs_under_limits_in_its_own_session_with_a_clean_environment(
    runner: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", "secret")
    script = """
import os, resource, sys
limits = [resource.getrlimit(w)[0] for w in (resource.RLIMIT_AS, resource.RLIMIT_CPU)]
told = [*limits, os.getsid(0) == os.getpid(), os.nice(0), "REGISTRY_PASSWORD" in os.environ]
open(sys.argv[1] + "/result.json", "w").write(repr(told))
"""

    folder = runner.run(order(script), _nothing)

    nice = min(19, os.nice(0) + 10)
    told = repr([runner.memory, runner.cpu_s, True, nice, False])
    assert (folder / "result.json").read_text() == told


def test_endless_computing_is_ended_by_its_cpu_limit(store: Store, tmp_path: Path) -> None:
    runner = JobRunner(store.jobs, tmp_path / "jobs", poll_s=0.02, cpu_s=1)

    with pytest.raises(JobFailed, match=f"ended with -({signal.SIGXCPU}|{signal.SIGKILL})"):
        runner.run(order("while True: pass"), _nothing)


def test_a_job_beyond_its_time_is_ended_with_its_children(store: Store, tmp_path: Path) -> None:
    script = """
import signal, subprocess, sys, pathlib
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
part = pathlib.Path(sys.argv[1]).parent / "part"
part.write_text(str(child.pid))
part.rename(part.with_name("starts"))
child.wait()
"""
    now = [1_000.0]
    runner = JobRunner(
        store.jobs, tmp_path / "jobs", wall_s=30, poll_s=0.02, grace_s=0.5, clock=lambda: now[0]
    )
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(runner.run, order(script), _nothing)
        (child,) = _pids(tmp_path / "jobs")

        now[0] += 31
        with pytest.raises(JobFailed, match="longer than 30 s"):
            waiting.result(30)

    wait_until(lambda: not _alive(child), 10, "the child's end")


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_killed_daemon_finds_its_job_again_and_starts_no_second(
    url: str, store: Store, runner: JobRunner, tmp_path: Path
) -> None:
    jobs = tmp_path / "jobs"
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.daemon.actions.job_parent", url, str(jobs)], cwd=_ROOT
    )
    (pid,) = _pids(jobs)
    wait_until(lambda: _state(store) == "running", 30, "the row")
    parent.send_signal(signal.SIGKILL)
    assert parent.wait(30) == -signal.SIGKILL
    assert _alive(pid)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(runner.run, order(), _nothing)
        (jobs / "act-1" / "go").touch()
        folder = waiting.result(30)

    assert (folder / "result.json").read_text() == "done"
    assert _pids(jobs) == [pid]
    assert _state(store) == "succeeded"


def test_a_job_that_ended_while_nobody_looked_is_judged_by_its_product(
    url: str, runner: JobRunner, tmp_path: Path
) -> None:
    jobs = tmp_path / "jobs"
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.daemon.actions.job_parent", url, str(jobs)], cwd=_ROOT
    )
    (pid,) = _pids(jobs)
    parent.kill()
    parent.wait(30)
    (jobs / "act-1" / "go").touch()
    wait_until(lambda: not _alive(pid), 30, "the job's end")

    folder = runner.run(order(), _nothing)

    assert (folder / "result.json").read_text() == "done"
    assert _pids(jobs) == [pid]


def killed(store: Store, jobs: Path) -> tuple[JobRunner, int]:
    """A runner that died before it wrote which process it had begun, and the id of that one."""
    runner = JobRunner(_Forgetful(store), jobs, poll_s=0.02)
    with pytest.raises(_Killed):
        runner.run(order(), _nothing)
    (pid,) = _pids(jobs)
    return runner, pid


def test_a_daemon_killed_before_it_wrote_the_process_id_still_finds_the_job(
    store: Store, runner: JobRunner, tmp_path: Path
) -> None:
    jobs = tmp_path / "jobs"
    first, pid = killed(store, jobs)
    assert _state(store) == "waiting"

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(runner.run, order(), _nothing)
        (jobs / "act-1" / "go").touch()
        waiting.result(30)

    first.reap()
    assert _pids(jobs) == [pid]


def test_a_job_that_ended_before_its_row_said_so_is_not_begun_again(
    store: Store, runner: JobRunner, tmp_path: Path
) -> None:
    jobs = tmp_path / "jobs"
    first, pid = killed(store, jobs)
    (jobs / "act-1" / "go").touch()

    def ended() -> bool:
        first.reap()
        return not _alive(pid)

    wait_until(ended, 30, "the job's end")

    folder = runner.run(order(), _nothing)

    assert (folder / "result.json").read_text() == "done"
    assert _pids(jobs) == [pid]


class _Killed(Exception):
    """The daemon dies here."""


class _Forgetful:
    """Dies before it can write which process it has begun."""

    def __init__(self, store: Store) -> None:
        self.add = store.jobs.add
        self.end = store.jobs.end
        self.get = store.jobs.get

    def running(self, job_id: str, pid: int, pid_started: float) -> None:
        raise _Killed


def test_a_reused_process_id_is_not_taken_for_the_job(store: Store, runner: JobRunner) -> None:
    started = psutil.Process().create_time()
    store.jobs.add(Job("act-1", "churn", "act-1", "retrain", "waiting", "", 1e12))
    store.jobs.running("act-1", os.getpid(), started)

    with pytest.raises(JobFailed, match="lost: is gone without a result"):
        runner.run(order(), _nothing)


def test_a_stopping_daemon_lets_the_job_go_on(
    store: Store, runner: JobRunner, tmp_path: Path
) -> None:
    jobs = tmp_path / "jobs"
    first = JobRunner(store.jobs, jobs, poll_s=0.02)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(first.run, order(PATIENT), _nothing)
        (pid,) = _pids(jobs)
        first.stop()
        with pytest.raises(Interrupted):
            waiting.result(30)
    assert _alive(pid)

    (jobs / "act-1" / "go").touch()
    runner.run(order(PATIENT), _nothing)

    first.reap()
    assert _pids(jobs) == [pid]


@pytest.mark.parametrize("key", ["", "../x", "a/b", "a" * 65, "a\n"])
def test_a_key_that_is_no_word_is_refused(runner: JobRunner, key: str) -> None:
    with pytest.raises(ValueError, match="job key"):
        runner.run(order(_DONE, key), _nothing)


def test_folders_of_old_jobs_are_removed_but_for_those_of_registered_versions(
    store: Store, tmp_path: Path
) -> None:
    now, jobs = [1_000.0], tmp_path / "jobs"
    runner = JobRunner(store.jobs, jobs, poll_s=0.02, clock=lambda: now[0])
    for key in ("act-old", "act-live"):
        runner.run(order(_DONE, key), _nothing)
    with pytest.raises(JobFailed):
        runner.run(order("pass", "act-failed"), _nothing)
    now[0] = 3_000.0
    runner.run(order(_DONE, "act-new"), _nothing)
    store.jobs.add(Job("act-waiting", "churn", "act-1", "retrain", "waiting", "", 1.0))
    for name in ("act-waiting", "strange"):
        (jobs / name).mkdir()

    removed = runner.prune([str(jobs / "act-live" / "result.json")], before=2_000.0)

    left = {folder.name for folder in jobs.iterdir()}
    assert left == {"act-live", "act-new", "act-waiting", "strange"}
    assert removed == 2
    assert runner.prune([str(jobs / "act-live" / "result.json")], before=2_000.0) == 0
