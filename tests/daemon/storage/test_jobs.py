"""A job's row is made before its process, and it ends once."""

from __future__ import annotations

from tests.daemon.storage.examples import T0
from watchkeeper.daemon.storage.store import Store
from watchkeeper.daemon.storage.values import Job


def job(name: str = "j1", at: float = T0) -> Job:
    return Job(
        id=name,
        model="fraud",
        action_id="act-1",
        kind="retrain",
        state="waiting",
        directory="/var/lib/jobs/j1",
        started_at=at,
    )


def test_only_the_first_may_begin_a_job(store: Store) -> None:
    assert store.jobs.add(job())
    assert not store.jobs.add(job())
    assert store.jobs.get("j1") == job()
    assert store.jobs.get("j2") is None


def test_a_job_goes_from_waiting_to_its_end(store: Store) -> None:
    store.jobs.add(job())
    store.jobs.running("j1", 4711, 123.5)
    running = store.jobs.get("j1")

    ended = store.jobs.end("j1", "succeeded", T0 + 9, {"version": "14", "accuracy": 0.9})

    assert running is not None
    assert (running.state, running.pid, running.pid_started) == ("running", 4711, 123.5)
    assert ended
    after = store.jobs.get("j1")
    assert after is not None
    assert after.result == {"version": "14", "accuracy": 0.9}
    assert after.ended_at == T0 + 9


def test_an_ended_job_stays_as_it_ended(store: Store) -> None:
    store.jobs.add(job())
    store.jobs.end("j1", "failed", T0 + 1, {})

    assert not store.jobs.end("j1", "succeeded", T0 + 2, {})
    store.jobs.running("j1", 1, 1.0)

    after = store.jobs.get("j1")
    assert after is not None
    assert after.state == "failed"


def test_jobs_are_found_by_action_and_by_life(store: Store) -> None:
    store.jobs.add(job("j2", T0 + 1))
    store.jobs.add(job("j1"))
    store.jobs.end("j1", "lost", T0 + 5, {})

    assert [each.id for each in store.jobs.of_action("act-1")] == ["j1", "j2"]
    assert [each.id for each in store.jobs.unfinished()] == ["j2"]
