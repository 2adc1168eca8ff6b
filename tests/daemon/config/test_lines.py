"""Where a key stands in a file."""

from __future__ import annotations

import tomllib

from watchkeeper.daemon.config.lines import key_lines


def test_lines_are_found_through_all_of_toml() -> None:
    text = "\n".join(
        [
            "# comment [x]",  # 1
            'a.b = "#[no]"',  # 2
            "[t.'q.r']",  # 3
            'm = """',  # 4
            "fake = 1",  # 5
            '"""',  # 6
            "[[l]]",  # 7
            "k = [ # comment",  # 8
            "  { x = 1 },",  # 9
            "  { y = ']' },",  # 10
            "]",  # 11
            "[[l]]",  # 12
            "[l.sub]",  # 13
            "z = 1979-05-27 07:32:00",  # 14
        ]
    )
    assert tomllib.loads(text)

    lines = key_lines(text)

    assert lines[("a", "b")] == 2
    assert lines[("t", "q.r", "m")] == 4
    assert ("t", "q.r", "fake") not in lines
    assert lines[("l", 0, "k", 1, "y")] == 10
    assert lines[("l", 1, "sub", "z")] == 14
