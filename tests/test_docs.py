"""The reference pages say what the program says.

After a change of commands or settings: `UPDATE_DOCS=1 python -m pytest tests/test_docs.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from tests import reference as from_code
from tests.daemon.cli.test_root import ALL
from watchkeeper.daemon import exit_codes
from watchkeeper.daemon.cli import cli, reference
from watchkeeper.daemon.config import describe

DOCS = Path(__file__).parent.parent / "docs"
PAGES = {
    "configuration.md": ("# All settings\n", describe.markdown),
    "cli.md": ("# All commands\n", reference.markdown),
    "metrics.md": ("# All metrics\n", from_code.metrics_page),
    "detectors.md": ("# All signals, detectors and handlers\n", from_code.detectors_page),
}


@pytest.mark.parametrize("page", PAGES)
def test_the_reference_is_what_the_program_says(page: str) -> None:
    heading, made = PAGES[page]
    path = DOCS / page
    text = path.read_text(encoding="utf-8")
    before, _, after = text.partition(heading)
    note = after.partition("-->")[0] + "-->\n\n"

    if os.environ.get("UPDATE_DOCS"):
        path.write_text(before + heading + note + made(), encoding="utf-8")

    assert path.read_text(encoding="utf-8") == before + heading + note + made()


@pytest.mark.parametrize("name", ALL)
def test_every_command_and_option_is_in_the_docs(name: str) -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")

    assert f"## `watchkeeper {name}`" in text
    for parameter in ALL[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[-1] in text


def test_every_setting_is_in_the_docs() -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")

    for group in describe.groups():
        assert f"## `{group.heading}`" in text
        for setting in group.settings:
            assert f"### `{setting.key}`" in text


def test_the_exit_codes_are_told_alike() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    shown = cli.get_help(click.Context(cli))

    for code in (value for name, value in vars(exit_codes).items() if name.isupper()):
        assert f"| {code} |" in page
        assert f" {code} " in shown.replace("\n", " ")
