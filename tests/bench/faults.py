"""Every fault test at full size: a table, and `build/bench/faults.json`.

Arguments go to pytest: `make bench NAME=faults ARGS="-k rebalances"`. With `--usual` the sizes are
those of every run of the tests.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pytest

_ROOT = Path(__file__).parents[2]
_TABLE = _ROOT / "build" / "bench" / "faults.json"


class Row(msgspec.Struct):
    """One test: how much it did, how long that took, and how it ended."""

    test: str
    size: str = ""
    seconds: float = 0.0
    result: str = "passed"


class Rows:
    """Listens to pytest."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One of the three phases of a test has ended."""
        name = report.nodeid.rpartition("/")[2]
        row = self.rows.setdefault(name, Row(name))
        row.seconds = round(row.seconds + report.duration, 1)
        row.size = str(dict(report.user_properties).get("size", row.size))
        if report.outcome != "passed" and row.result == "passed":
            row.result = report.outcome


def main(arguments: list[str]) -> int:
    """Runs them and writes the table; not 0 when one of them fails."""
    # Read when the tests are imported, by them and by the processes they start.
    os.environ["WATCHKEEPER_FAULTS"] = "" if "--usual" in arguments else "full"
    rest = [each for each in arguments if each != "--usual"]
    rows = Rows()
    code = pytest.main([str(_ROOT / "tests" / "faults"), "-q", *rest], plugins=[rows])
    _TABLE.parent.mkdir(parents=True, exist_ok=True)
    _TABLE.write_bytes(msgspec.json.format(msgspec.json.encode(list(rows.rows.values()))))
    sys.stdout.write(_table(list(rows.rows.values())))
    return int(code)


def _table(rows: list[Row]) -> str:
    wide = max((len(row.test) for row in rows), default=0)
    lines = [f"{'test':{wide}}  {'size':32}  {'seconds':>8}  result"]
    lines += [f"{r.test:{wide}}  {r.size:32}  {r.seconds:8.1f}  {r.result}" for r in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
