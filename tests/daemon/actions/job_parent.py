"""A daemon that only waits for one job: `python -m tests.daemon.actions.job_parent URL ROOT`."""

from __future__ import annotations

import sys
from pathlib import Path

from watchkeeper.daemon.actions.jobs import JobRunner
from watchkeeper.daemon.storage.store import Store
from watchkeeper.handlers.retrain.retrain import JobOrder

# Counts its starts, tells its process id, and ends when it finds the file `go`.
PATIENT = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
with (folder.parent / "starts").open("a") as file:
    file.write(f"{os.getpid()}\\n")
until = time.monotonic() + 60
while not (folder / "go").exists() and time.monotonic() < until:
    time.sleep(0.02)
(folder / "result.json").write_text("done")
"""


def order(script: str = PATIENT, key: str = "act-1") -> JobOrder:
    """An order for a Python program."""
    return JobOrder(key, "churn", key, "retrain", (sys.executable, "-c", script), "result.json")


def main() -> None:
    url, root = sys.argv[1:]
    runner = JobRunner(Store(url).jobs, Path(root), poll_s=0.02)
    runner.run(order(), lambda folder: None)


if __name__ == "__main__":
    main()
