"""The replay broker, and the speed that is promised with slack for a busy machine."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.bench import peers, speed
from tests.bench.alarms import same_alarms
from tests.bench.bench import Bench
from tests.bench.broker import Running, Spec, running
from tests.bench.cases import Job, Spent, bare
from tests.bench.latency import LIVE, closing_event
from tests.bench.planned import FAULT_AT, FULL, KEYS, PARTS, QUICK, Size, Unequal
from tests.bench.replay import Stream
from tests.bench.said import Said
from tests.bench.traffic import BEGIN, Shape, model_name, model_of
from tests.bench.trials import fill, megabytes
from watchkeeper.daemon.core.panel import Panel
from watchkeeper.daemon.core.policy import Suite
from watchkeeper.detectors import fast
from watchkeeper.detectors.arrays.schema import Schema
from watchkeeper.detectors.suite import DEFAULT_WATCHES
from watchkeeper.detectors.types import Finding, Series, Severity

_ROOT = Path(__file__).parents[2]
_MEASURED_S = 1_200  # kernels may have to be compiled before, on a machine that does much else
# Below what is measured on a machine that does nothing else: a busy one takes its part.
_FLOORS = {
    "complete_over_bare": 1.1,
    "complete_fast_over_bare": 1.7,
    "complete_over_naive": 4.5,
    "complete_fast_over_naive": 7.0,
    "public_path_over_bare": 0.5,
}


def _records(batch: bytes) -> list[dict[str, Any]]:
    from kafka.record.memory_records import MemoryRecords

    read = MemoryRecords(batch).next_batch()
    assert read.validate_crc()
    return [{**json.loads(r.value), "at_ms": r.timestamp, "key": r.key.decode()} for r in read]


@pytest.mark.parametrize("codec", [0, 1, 4])
def test_a_replayed_batch_is_written_anew_with_its_checksum(codec: int) -> None:
    stream = Stream(Shape(batch=20, codec=codec))

    first, again = (_records(stream.batch(False, 0, n)) for n in (3, 3 + 125))

    assert [r["features"] for r in first] == [r["features"] for r in again]
    assert [r["id"] for r in first] == [f"p{i:012d}" for i in range(60, 80)]
    assert {r["request_id"] for r in first}.isdisjoint(r["request_id"] for r in again)
    assert [r["at_ms"] for r in first] == [BEGIN * 1000 + i * 6 for i in range(60, 80)]
    assert all(r["key"] == r["model_name"] for r in again)
    assert {r["model_name"] for r in again} == {f"model-{i:05d}" for i in range(10)}


@pytest.mark.parametrize("rounded_up", [False, True])
def test_a_finding_is_timed_from_the_event_that_closed_its_window(rounded_up: bool) -> None:
    events = np.arange(40_000, 40_000 + 3 * LIVE.models)
    models = model_of(LIVE, events)
    first, later, *_ = (BEGIN * 1_000_000 + events[models == models[0]] * LIVE.spacing_us) / 1e6
    end = math.nextafter(first, math.inf) if rounded_up else float(first)
    finding = _finding(model_name(int(models[0])), end)

    assert closing_event(finding, float(BEGIN)) == (later if rounded_up else first)


def _finding(model: str, at: float) -> Finding:
    series = Series(model, "1", "latency", "p50")
    return Finding(series, "threshold", Severity.INFO, at, at, 1.0, 1.0, 1.0, 1.0, 1)


def test_a_label_is_about_the_prediction_at_its_offset() -> None:
    stream = Stream(Shape(batch=20, partitions=2, labels_after_s=30))

    said, truth = (_records(stream.batch(labels, 1, 7)) for labels in (False, True))

    for field in ("request_id", "model_name", "key"):
        assert [r[field] for r in said] == [r[field] for r in truth]
    waits = {t["at_ms"] - s["at_ms"] for s, t in zip(said, truth, strict=True)}
    assert waits == {30_000}


def test_kafka_python_reads_as_many_labels_as_predictions_from_the_replay_broker() -> None:
    with running(Spec({"small": Shape(batch=100)})) as broker:
        spent = bare(Job(case="bare", bootstrap=broker.bootstrap, stream="small", records=20_000))

    assert spent.events >= 15_000
    assert spent.cpu_s > 0


def _measured(result: Path) -> Mapping[str, float | dict[str, str]]:
    # Not where `make bench` leaves the figures of all cases. What is missing is seen by who asked.
    command = [sys.executable, "-m", "tests.bench.speed", "--quick", "--pairs", "2"]
    parts = ["--result", f"{result}", "--only", "equality", "complete", "public"]
    if fast.available():
        parts.append("complete_fast")
    subprocess.run(
        [*command, *parts], cwd=_ROOT, timeout=_MEASURED_S, check=False, capture_output=True
    )
    found: dict[str, float | dict[str, str]] = json.loads(result.read_bytes())
    return found


def _too_slow(found: Mapping[str, float | dict[str, str]]) -> dict[str, object]:
    wanted = {k: v for k, v in _FLOORS.items() if fast.available() or "fast" not in k}
    ratios = {name: found.get(name, 0.0) for name in wanted}
    return {n: r for n, r in ratios.items() if not isinstance(r, float) or r < wanted[n]}


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(2 * _MEASURED_S + 60)
def test_the_daemon_keeps_its_distance_to_an_empty_poll_loop(tmp_path: Path) -> None:
    found = _measured(tmp_path / "speed.json")
    if _too_slow(found):  # CPU time is steadier than the clock, but not deaf to neighbours
        found = _measured(tmp_path / "speed.json")

    assert found["missing"] == {}
    assert _too_slow(found) == {}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Running(1, 1), tmp_path, FULL)


def _sabotage(case: str) -> Callable[..., Spent]:
    """Runs that find the fault, but for the case, which finds something else."""
    series = [{"at": FAULT_AT + 1, "series": {"target": t}} for t in ("n0:missing", "error_rate")]

    def run(job: Job, fast: bool) -> Spent:
        found: object = series * 2 if job.case == case else series
        if job.case == "naive":
            found = Said([FAULT_AT + 1], 60_000, 50_000)
        if job.found:
            Path(job.found).write_bytes(msgspec.json.encode(found))
        return Spent(events=100, cpu_s=1.0, wall_s=1.0)

    return run


def _main(monkeypatch: pytest.MonkeyPatch, result: Path, *arguments: str) -> int:
    """The exit code without a broker."""
    command = ["speed", "--result", str(result), "--pairs", "1", *arguments]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(speed, "running", lambda _: contextlib.nullcontext(Running(1, 1)))
    return speed.main()


@pytest.mark.parametrize(("sabotaged", "code"), [("public", 1), ("complete_fast", 1), ("", 0)])
def test_nothing_is_timed_once_forms_of_the_daemon_differ(
    sabotaged: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tests.bench.bench.child", _sabotage(sabotaged))

    result = tmp_path / "speed.json"
    exit_code = _main(monkeypatch, result, "--only", "equality", "complete", "public")

    found = json.loads(result.read_bytes())
    assert exit_code == code
    assert {key for key in KEYS if key in found} == (
        set() if code else {*PARTS["complete"], *PARTS["public"]}
    )
    said = capsys.readouterr().out
    assert (f"failed: equality: {sabotaged} did not find what complete found" in said) == code
    assert ("failed: public_path_over_bare: not timed" in said) == code


@pytest.mark.parametrize(("size", "lacking"), [(FULL, ["models_10000_over_bare"]), (QUICK, [])])
def test_what_needs_the_full_size_may_be_missing_in_another(
    size: Size, lacking: list[str], bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(job: Job, fast: bool) -> Spent:
        raise RuntimeError("one line\nno such thing")

    monkeypatch.setattr("tests.bench.bench.child", broken)
    bench.size = size

    bench.everything({"large"})

    assert bench.failures() == [f"{key}: no such thing" for key in lacking]
    assert "models_10000_over_bare" in bench.missing


def test_a_part_that_measures_nothing_is_a_failure(bench: Bench) -> None:
    bench.starting = lambda: None  # type: ignore[method-assign]

    bench.everything({"starting"})

    assert bench.failures() == [f"{k}: was not measured" for k in PARTS["starting"]]


def test_every_key_belongs_to_a_part() -> None:
    assert {key for keys in PARTS.values() for key in keys} == {*KEYS, "equality", "peers"}


def _peer(alarms: Mapping[str, list[float]]) -> Callable[[str, Job], Spent]:
    """Peers with these alarms; the others cannot run."""

    def run(name: str, job: Job) -> Spent:
        if name not in alarms:
            raise RuntimeError(f"{name}: no wheel")
        if job.found:
            Path(job.found).write_bytes(msgspec.json.encode(Said(alarms[name], 60_000, 50_000)))
        return Spent(events=100, cpu_s=2.0, wall_s=1.0)

    return run


_SAME, _OTHER = [FAULT_AT + 1], [FAULT_AT + 2]


@pytest.mark.parametrize(
    ("alarms", "measured", "code"),
    [
        ({}, set(), 1),
        ({"bytewax": _SAME}, {"bytewax"}, 0),
        ({"bytewax": _SAME, "faust": _OTHER}, {"bytewax"}, 1),
        ({"faust": _OTHER}, set(), 1),
    ],
    ids=["none", "one", "one of two differs", "all differ"],
)
def test_peers_are_added_to_the_figures_that_are_there(
    alarms: Mapping[str, list[float]],
    measured: set[str],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = tmp_path / "speed.json"
    there = {"quick": False, "environment": {"python": "x"}, "missing": {"help_seconds": "why"}}
    old = {"complete_fast_over_faust": 9.0, "complete_fast_over_faust_min": 8.0}
    result.write_text(json.dumps({**dict.fromkeys(KEYS, 3.5), **there, **old}))
    monkeypatch.setattr("tests.bench.bench.child", _sabotage(""))
    monkeypatch.setattr("tests.bench.beside.child", _sabotage(""))
    monkeypatch.setattr(peers, "child", _peer(alarms))

    exit_code = _main(monkeypatch, result, "--peers")

    found = json.loads(result.read_bytes())
    assert exit_code == code
    assert {key: found[key] for key in KEYS} == dict.fromkeys(KEYS, 3.5)
    assert found["environment"] == {"python": "x"}
    assert found["missing"].pop("help_seconds") == "why"
    for name in peers.PEERS:
        keys = {f"{ours}_over_{name}" for ours in ("complete_fast", "naive")}
        assert all(found.get(key) == (2.0 if name in measured else None) for key in keys)
        assert all((key in found["missing"]) == (name not in measured) for key in keys)
        assert found.get(f"complete_fast_over_{name}_min") == (2.0 if name in measured else None)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (Said(_SAME, 60_000, 50_000), None),
        (Said([*_SAME, FAULT_AT + 9e6], 60_000, 50_000), None),  # the other has not read so far
        (Said(_SAME, 60_000, 20_000), "no alarm of the fault"),
        (Said([*_SAME, FAULT_AT + 2], 60_000, 50_000), "2 alarms, not the 1"),
    ],
    ids=["same", "read on", "few labels", "more alarms"],
)
def test_alarms_are_compared_as_far_as_both_have_read(
    theirs: Said, said: str | None, tmp_path: Path
) -> None:
    files = tmp_path / "naive", tmp_path / "peer"
    for file, each in zip(files, (Said(_SAME, 60_000, 50_000), theirs), strict=True):
        file.write_bytes(msgspec.json.encode(each))

    if said is None:
        assert same_alarms(*files) == 1
        return
    with pytest.raises(Unequal, match=said):
        same_alarms(*files)


def test_full_histories_take_the_memory_they_are_said_to_take() -> None:
    members, panel = 4_000, Panel.of(Suite(watches=DEFAULT_WATCHES), Schema())
    for member in range(members):
        panel.place(member)
    banks = [post.bank for post in panel.posts]
    for bank in banks:
        bank._reach(members)
    pasts = [bank._past for bank in banks if bank._past.kind.names]
    long = sum(past.nbytes for past in pasts) * members / len(pasts[0]) / 2**20
    before = megabytes()

    fill([panel, panel])

    assert long > 10.0
    assert megabytes() - before == pytest.approx(long, rel=0.1)
    assert not any(table.any() for past in pasts for table in past.tables.values())


@pytest.mark.parametrize("program", ["true", "echo"], ids=["nothing", "something else"])
def test_a_peer_that_ends_without_a_result_is_missing(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shutil.which(program)
    assert path is not None
    monkeypatch.setattr(peers, "environment", lambda name: Path(path))

    with pytest.raises(RuntimeError, match="faust: no result"):
        peers.child("faust", Job(case="naive", bootstrap="localhost:1"))
