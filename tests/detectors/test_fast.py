"""Kernels are compiled where numba is here and wanted, once, and kept on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compiled import needs_kernels
from watchkeeper.detectors import fast

ADD = """
import numpy as np
from watchkeeper.detectors.fast import kernel, warm

@kernel()
def twice(number):
    return 2 * number

@kernel(lambda: (np.zeros(1), 1))
def add(column, number):
    for i in range(len(column)):
        column[i] += twice(number)

warm()
"""
USE = """
import fast_example
import numpy as np
column = np.zeros(3)
fast_example.add(column, 2)
assert column.tolist() == [4.0, 4.0, 4.0], column
print(sum(fast_example.add.compiled.stats.cache_hits.values()))
"""


def run(code: str, folder: Path, **environment: str) -> str:
    """Runs code in a process of its own, which finds modules in `folder`."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("WATCHKEEPER_", "STATE_D"))}
    path = os.pathsep.join((str(folder), *(p for p in sys.path if p)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | environment | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def example(tmp_path: Path) -> Path:
    (tmp_path / "fast_example.py").write_text(ADD)
    return tmp_path


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHKEEPER_FAST", "0")

    assert not fast.available()


def test_importing_kernels_does_not_import_numba(tmp_path: Path) -> None:
    code = (
        "import sys, watchkeeper.daemon.transport.batches_fast, watchkeeper.daemon.kernels\n"
        "import watchkeeper.daemon.transport.codec.fast_json\n"
        "print('numba' in sys.modules)"
    )

    assert run(code, tmp_path) == "False"


def test_switched_off_nothing_is_compiled(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom watchkeeper.daemon import kernels\n"
        "from watchkeeper.daemon.transport import batches, batches_arrays\n"
        "print(kernels.warm(), batches.best() is batches_arrays.split, 'numba' in sys.modules)"
    )

    assert run(code, tmp_path, WATCHKEEPER_FAST="0") == "False True False"


FORBIDDEN = """
import ctypes
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):  # PR_SET_MDWE, as systemd's MemoryDenyWriteExecute
    print("this system cannot forbid it")
else:
    from watchkeeper.daemon.kernels import warm
    from watchkeeper.detectors import fast
    print(fast.available(), fast.forbidden(), warm())
"""


@needs_kernels
def test_where_code_may_not_be_made_nothing_is_compiled(tmp_path: Path) -> None:
    said = run(FORBIDDEN, tmp_path)
    if said.startswith("this"):
        pytest.skip(said)

    assert said == "False True False"


@needs_kernels
@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("WATCHKEEPER_FAST_CACHE", ""),
        ("STATE_DIRECTORY", "kernels"),
        ("XDG_CACHE_HOME", "watchkeeper/kernels"),
    ],
)
def test_a_kernel_is_compiled_once_and_kept(example: Path, name: str, below: str) -> None:
    cache = example / "cache"

    hits = [run(USE, example, **{name: str(cache)}) for _ in range(2)]

    assert hits == ["0", "1"]
    assert list((cache / below).glob("*/*/*.nbi"))


@needs_kernels
def test_a_kernel_works_where_nothing_can_be_kept(example: Path) -> None:
    (example / "file").write_text("")

    hits = run(USE, example, WATCHKEEPER_FAST_CACHE=str(example / "file" / "below"))

    assert hits == "0"


@needs_kernels
def test_kernels_of_other_versions_give_way_in_time(example: Path) -> None:
    cache = example / "cache"
    for age in range(5):
        folder = cache / f"{age:016x}"
        folder.mkdir(parents=True)
        os.utime(folder, (1_000_000 - age, 1_000_000 - age))

    run(USE, example, WATCHKEEPER_FAST_CACHE=str(cache))

    left = {each.name for each in cache.iterdir()}
    assert len(left) == 3
    assert {f"{age:016x}" for age in range(2)} < left


@needs_kernels
def test_what_is_not_ours_is_left_alone(example: Path) -> None:
    place = example / "place"
    theirs = [place / name / "file" for name in ("a", "b", "c", "photographs", "0" * 15, "0" * 40)]
    for file in theirs:
        file.parent.mkdir(parents=True)
        file.touch()

    run(USE, example, WATCHKEEPER_FAST_CACHE=str(place))

    assert [file for file in theirs if not file.exists()] == []
    assert len(list(place.iterdir())) == len(theirs) + 1


def test_constants_that_are_compiled_into_kernels_tell_versions_apart() -> None:
    root = Path(fast.__file__).resolve().parent.parent

    found = {file.relative_to(root).as_posix() for file in fast.sources(root)}

    assert "daemon/transport/codec/fast_number.py" in found
    assert {
        "daemon/core/keyed.py",
        "daemon/transport/batches.py",
        "daemon/transport/codec/columns.py",
        "detectors/arrays/tally.py",
        "detectors/keys.py",
        "detectors/signals/latency.py",
    } <= found
