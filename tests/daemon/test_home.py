"""Who holds leases under which name."""

from __future__ import annotations

from pathlib import Path

from watchkeeper.daemon.home import holder_of, home_of


def test_the_next_process_has_the_name_of_the_one_before(tmp_path: Path) -> None:
    names = []
    for _ in range(2):
        with home_of(tmp_path, "one") as home:
            names.append(holder_of("one:here", home))

    assert names == ["one:here"] * 2


def test_two_at_once_have_different_names(tmp_path: Path) -> None:
    with home_of(tmp_path, "one") as home, home_of(tmp_path, "one") as other:
        names = holder_of("one:here", home), holder_of("one:here", other)

    assert names[0] != names[1]


def test_workers_of_one_folder_do_not_take_each_others_file(tmp_path: Path) -> None:
    with home_of(tmp_path, "a/1") as home, home_of(tmp_path, "a/2") as other:
        names = holder_of("a/1:here", home), holder_of("a/2:here", other)

    assert names == ("a/1:here", "a/2:here")
