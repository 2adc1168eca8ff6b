"""`watchkeeper run` where something that it needs is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.cli.conftest import process


@pytest.mark.parametrize(
    ("state_dir", "url", "code", "part"),
    [
        ("/proc/nowhere", "", 78, "daemon.state_dir /proc/nowhere"),
        ("", "sqlite:////proc/nowhere/w.db", 69, "unable to open"),
    ],
    ids=["state folder", "database"],
)
def test_what_is_missing_is_told_in_one_sentence(
    tmp_path: Path, state_dir: str, url: str, code: int, part: str
) -> None:
    file = tmp_path / "w.toml"
    file.write_text(
        f'[daemon]\nstate_dir = "{state_dir or tmp_path}"\n'
        f'[database]\nurl = "{url or f"sqlite:///{tmp_path}/w.db"}"\n'
    )

    ended = process("-c", str(file), "run", folder=tmp_path)

    said = ended.stdout + ended.stderr
    assert ended.returncode == code, said
    assert part in said
    assert "Traceback" not in said


# Stands for packages that were never installed, in a process of its own.
_WITHOUT = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Gone())
"""


@pytest.mark.parametrize("name", ["crc32c", "lz4", "snappy", "zstandard"])
@pytest.mark.parametrize("words", [("run",), ("run", "--workers", "2")], ids=["one", "workers"])
def test_without_a_package_that_reading_needs_nothing_is_begun(
    tmp_path: Path, name: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_WITHOUT.format(name=name))
    (tmp_path / "w.toml").write_text(f'[daemon]\nstate_dir = "{tmp_path}/state"\n')

    ended = process("-c", "w.toml", *words, folder=tmp_path, PYTHONPATH=str(tmp_path))

    assert ended.returncode == 78, ended.stderr
    assert ended.stderr.count("\n") == 1
    assert f"package {name} is missing" in ended.stderr
    assert "pip install" in ended.stderr
    assert not (tmp_path / "state").exists()


def test_other_commands_say_too_which_package_is_missing(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_WITHOUT.format(name="crc32c"))
    (tmp_path / "events.jsonl").write_text("")

    replayed = process("replay", "events.jsonl", folder=tmp_path, PYTHONPATH=str(tmp_path))
    doctor = process("doctor", folder=tmp_path, PYTHONPATH=str(tmp_path))

    assert (replayed.returncode, replayed.stderr.count("\n")) == (78, 1), replayed.stderr
    assert "package crc32c is missing" in replayed.stderr
    assert doctor.returncode == 1
    assert "crc32c" in doctor.stdout
