"""Runs of one case in a process of its own, and the settings that it gets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.bench.cases import CHILD_S, Job, Spent
from tests.bench.planned import Missing
from tests.e2e.daemon import python_path

KERNELS = Path(os.environ.get("WATCHKEEPER_FAST_CACHE") or "build/bench/kernels").absolute()


def child(job: Job, fast: bool) -> Spent:
    """Runs a job in a process of its own; its last line is the result."""
    text = msgspec.json.encode(job).decode()
    command = [sys.executable, "-m", "tests.bench.speed", "--job", text]
    own = {"WATCHKEEPER_FAST": str(int(fast)), "WATCHKEEPER_FAST_CACHE": str(KERNELS)}
    environment = {**os.environ, **python_path(), **own}
    done = subprocess.run(
        command, capture_output=True, timeout=CHILD_S + 60, check=False, env=environment
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(f"{job.case} on {job.stream}: " + "\n".join(said[-12:]))
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Spent)


def kafka_with(option: str, value: object) -> dict[str, object]:
    """A setting of `[kafka]`; Missing where this version has none of the name."""
    from watchkeeper.daemon.config.sections import Kafka

    if option not in Kafka.__struct_fields__:
        raise Missing(f"no setting kafka.{option}")
    return {option: value}


def kafka_without(option: str) -> dict[str, object]:
    """The same, switched off."""
    return kafka_with(option, False)
