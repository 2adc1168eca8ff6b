"""The program itself: its commands, what it imports, how it ends."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests import programs
from tests.daemon.cli.conftest import Host, process
from watchkeeper.daemon.cli import cli
from watchkeeper.daemon.cli.root import COMMANDS

HEAVY = {
    *("numpy", "scipy", "river", "onnxruntime", "msgspec", "rich", "structlog"),
    *("sqlalchemy", "alembic", "kafka", "sentry_sdk", "prometheus_client", "apscheduler"),
    *("starlette", "uvicorn", "jinja2", "urllib3"),
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by its full name, groups too."""
    for name, later in COMMANDS.items():
        command = importlib.import_module(later.module).command
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", each) for inner, each in command.commands.items())


ALL = dict(commands())


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom watchkeeper.daemon.cli import cli\n"
        "try: cli.main(['--help'], prog_name='watchkeeper')\nexcept SystemExit: pass\n"
        "print('IMPORTED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )

    ended = programs.ended(code)

    assert ended.returncode == 0, ended.stderr
    imported = ended.stdout.rpartition("IMPORTED")[2].split()
    assert "click" in imported
    assert HEAVY & set(imported) == set()
    assert not any(name in imported for name in ("asyncio", "importlib_metadata"))


def test_the_first_line_in_the_list_is_the_commands_own() -> None:
    for name, later in COMMANDS.items():
        first = ALL[name].get_short_help_str(200)
        assert first.rstrip(".") == later.help.rstrip(".")
        assert ALL[name].name == name


@pytest.mark.parametrize("name", ["", *ALL])
def test_every_command_explains_itself(name: str, bare: Host) -> None:
    ended = bare.run(*name.split(), "--help")

    assert ended.exit_code == 0
    assert f"Usage: watchkeeper {name}".strip() in ended.output


@pytest.mark.parametrize("name", ["", *ALL])
def test_every_option_is_explained(name: str) -> None:
    command = ALL[name] if name else cli
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in ("limit",):
            assert parameter.help, f"{name} --{parameter.name}"


def test_an_unknown_command_is_wrong_use(bare: Host) -> None:
    ended = bare.run("runn")

    assert ended.exit_code == 2
    assert "runn" in ended.stderr


def test_run_without_a_configuration_starts_nothing_and_says_the_two_ways(tmp_path: Path) -> None:
    ended = process("run", folder=tmp_path)

    assert ended.returncode == 78
    assert "watchkeeper demo" in ended.stderr
    assert "watchkeeper config init" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_configuration_ends_with_78_and_all_its_lines(tmp_path: Path) -> None:
    (tmp_path / "watchkeeper.toml").write_text("[kafka]\ngroup = 1\n[webb]\n")

    ended = process("config", "check", folder=tmp_path)

    assert ended.returncode == 78
    assert ended.stderr.splitlines() == [
        'watchkeeper.toml:2: kafka.group: is unknown; did you mean "group_id"?',
        'watchkeeper.toml:3: webb: is unknown; did you mean "web"?',
        "2 problems in the configuration",
    ]


def test_a_fault_of_the_program_ends_with_70(tmp_path: Path) -> None:
    code = (
        "import watchkeeper.daemon.cli.root as root\n"
        "root.COMMANDS['version'] = root.Later('json', 'not a command')\n"
        "root.main(['version'])"
    )

    ended = programs.ended(code)

    assert ended.returncode == 70
    assert "Traceback" in ended.stderr


def test_the_installed_program_tells_its_version(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("watchkeeper")

    ended = subprocess.run(
        [program, "version"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )

    assert ended.stdout.startswith("watchkeeper 0.")


def test_options_can_be_given_as_variables(bare: Host) -> None:
    ended = bare.run("config", "show", "-o", "json", environment={"WATCHKEEPER_QUIET": "1"})
    other = bare.run("config", "show", environment={"WATCHKEEPER_OUTPUT": "json"})

    assert {"key": "daemon.log_level", "value": "warning"} in json.loads(ended.stdout)
    assert other.stdout.startswith("[")


def test_verbose_and_quiet_exclude_each_other(bare: Host) -> None:
    ended = bare.run("-v", "-q", "config", "show")

    assert ended.exit_code == 2
