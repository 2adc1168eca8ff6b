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
