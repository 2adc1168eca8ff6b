"""The form of the project that its packaging rests on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("daemon", "detectors", "handlers", "migrations")


@pytest.mark.parametrize("room", ROOMS)
def test_the_package_links_to_the_top_level_rooms(room: str) -> None:
    link = ROOT / "src" / "watchkeeper" / room

    assert link.is_symlink()
    assert os.readlink(link) == f"../../{room}"


def test_every_package_folder_has_an_init() -> None:
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}

    assert [str(f) for f in sorted(folders) if not (f / "__init__.py").exists()] == []
