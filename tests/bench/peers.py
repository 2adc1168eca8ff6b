"""`--peers`: stream processors with river, doing what the naive loop does, from the same broker.

Each lives in an environment of its own in the cache folder, filled when first asked for, and runs
this file: `python -m tests.bench.peers NAME JOB`. What cannot run is missing, with the reason.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.cases import CHILD_S, Job, Meter, Spent
from tests.bench.naive import InOrder, Naive

_RIVER = ("river==0.26.1", "msgspec", "numpy")
PACKAGES = {
    "bytewax": ("bytewax==0.21.1", "confluent-kafka==2.16.1", *_RIVER),
    "quixstreams": ("quixstreams==3.28.1", *_RIVER),
    "faust": ("faust-streaming==0.15.3", *_RIVER),
}
_AHEAD = 10_000
Take = Callable[[str, int, bytes], int]


def environment(name: str) -> Path:
    """The Python of the peer's environment."""
    from tests.services.base import cache_dir

    folder = cache_dir() / f"bench-{name}"
    python = folder / "bin" / "python"
    done = folder / "done"
    if not done.exists():
        venv.create(folder, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES[name]]
        subprocess.run(command, check=True, timeout=300, capture_output=True)
        done.touch()
    return python


def child(name: str, job: Job) -> Spent:
    """Runs one peer in its environment."""
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root / "src"), str(root)])
    text = msgspec.json.encode(job).decode()
    with tempfile.TemporaryDirectory(prefix="watchkeeper-bench-") as folder:  # for its state
        done = subprocess.run(
            [str(environment(name)), "-m", "tests.bench.peers", name, text],
            capture_output=True,
            timeout=CHILD_S,
            check=False,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": paths},
        )
    if done.returncode:
        raise RuntimeError(f"{name}: " + done.stderr.decode(errors="replace")[-600:])
    try:
        return msgspec.json.decode(done.stdout.splitlines()[-1], type=Spent)
    except (IndexError, msgspec.MsgspecError) as error:
        said = done.stdout.decode(errors="replace")[-300:]
        raise RuntimeError(f"{name}: no result, but {said!r}: {error}") from error


def _metered(job: Job) -> Take:
    """The monitor, which says how many labels were read too early; it ends the process, with the
    result, once enough was read."""
    meter = Meter(job.warm, job.records)
    ordered = InOrder(Naive(), job.lead, job.partitions)

    def take(topic: str, offset: int, value: bytes) -> int:
        meter.add(ordered.take(topic, offset, value))
        if not meter.going:
            os.write(1, msgspec.json.encode(meter.spent()) + b"\n")  # some take sys.stdout over
            if job.found:
                Path(job.found).write_bytes(msgspec.json.encode(ordered.said()))
            os._exit(0)
        return ordered.ahead

    return take


class Pace:
    """Pauses labels while they are too far ahead, as the naive loop does: they are small, so that a
    fetch brings more of them than of predictions."""

    def __init__(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._pause, self._resume, self._paused = pause, resume, False

    def keep(self, ahead: int) -> None:
        """Looks at how many labels were read too early."""
        if not self._paused and ahead > _AHEAD:
            self._paused = True
            self._pause()
        elif self._paused and ahead < _AHEAD // 2:
            self._paused = False
            self._resume()


def _group() -> str:
    """One that has read nothing yet: each run begins with the first record."""
    return f"bench-{os.getpid()}"


def _topics(job: Job) -> list[str]:
    return [f"{job.stream}.predictions", f"{job.stream}.labels"]


def bytewax(job: Job) -> None:
    """A dataflow with one worker."""
    source: Any = importlib.import_module("bytewax.connectors.kafka")
    flows: Any = importlib.import_module("bytewax.dataflow")
    operators: Any = importlib.import_module("bytewax.operators")
    testing: Any = importlib.import_module("bytewax.testing")
    take = _metered(job)
    flow = flows.Dataflow("bench")
    given = operators.input(
        "read", flow, source.KafkaSource([job.bootstrap], _topics(job), batch_size=1_000)
    )
    taken = operators.map("monitor", given, lambda m: take(m.topic, m.offset, m.value))
    operators.output("nowhere", taken, testing.TestingSink([]))
    testing.run_main(flow)


def quixstreams(job: Job) -> None:
    """An application without state of its own."""
    quix: Any = importlib.import_module("quixstreams")
    context: Any = importlib.import_module("quixstreams.context")
    place: Any = importlib.import_module("confluent_kafka").TopicPartition
    take = _metered(job)
    application = quix.Application(
        broker_address=job.bootstrap,
        consumer_group=_group(),
        auto_offset_reset="earliest",
        auto_create_topics=False,
        consumer_extra_config={"queued.min.messages": 5_000},  # what was fetched is read in turn
        loglevel="ERROR",
    )
    consumer, labels = application._consumer, [place(_topics(job)[1], 0)]
    pace = Pace(lambda: consumer.pause(labels), lambda: consumer.resume(labels))
    for name in _topics(job):
        topic = application.topic(name, value_deserializer="bytes")

        def update(value: bytes, name: str = name) -> None:
            pace.keep(take(name, context.message_context().offset, value))

        application.dataframe(topic).update(update)
    application.run()


def faust(job: Job) -> None:
    """An agent a topic."""
    library: Any = importlib.import_module("faust")
    place: Any = importlib.import_module("faust.types").TP
    take = _metered(job)
    application = library.App(
        _group(),
        broker=f"kafka://{job.bootstrap}",
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        value_serializer="raw",
        web_enabled=False,
    )
    consumer, labels = application.consumer, place(_topics(job)[1], 0)
    # As if their buffer were full: while a partition is paused what was fetched of it is lost.
    pace = Pace(lambda: consumer.on_buffer_full(labels), lambda: consumer.on_buffer_drop(labels))
    for name in _topics(job):

        async def watch(stream: Any, name: str = name) -> None:
            async for event in stream.events():
                pace.keep(take(name, event.message.offset, event.value))

        application.agent(application.topic(name, value_serializer="raw"), name=name)(watch)
    application.finalize()
    library.Worker(application, loglevel="ERROR").execute_from_commandline()


PEERS: dict[str, Callable[[Job], None]] = {
    "bytewax": bytewax,
    "quixstreams": quixstreams,
    "faust": faust,
}

if __name__ == "__main__":
    PEERS[sys.argv[1]](msgspec.json.decode(sys.argv[2], type=Job))
