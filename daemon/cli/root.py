"""`watchkeeper`: its commands and the options that come before all of them."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from watchkeeper.daemon import packages
from watchkeeper.daemon.cli.lazy import Later, LazyGroup
from watchkeeper.daemon.cli.outcome import Globals
from watchkeeper.daemon.exit_codes import INTERNAL, MISCONFIGURED

_HERE = "watchkeeper.daemon.cli."

COMMANDS = {
    "run": Later(_HERE + "run", "Run the daemon."),
    "demo": Later(_HERE + "demo", "Watch a simulated fleet: no Kafka, nothing to configure."),
    "replay": Later(_HERE + "replay", "Run recorded events through the same pipeline."),
    "calibrate": Later(_HERE + "calibrate", "Measure how often detectors would have been wrong."),
    "status": Later(_HERE + "status", "Show the state of everything on one screen."),
    "incident": Later(_HERE + "incident", "Look at incidents, acknowledge and resolve them."),
    "action": Later(_HERE + "action", "Look at actions, approve and reject them."),
    "model": Later(_HERE + "model", "Look at models, register versions and references."),
    "config": Later(_HERE + "config", "Write, check and show the configuration."),
    "topics": Later(_HERE + "topics", "Create the Kafka topics."),
    "db": Later(_HERE + "db", "Bring the database to the newest layout."),
    "dlq": Later(_HERE + "dlq", "Look at refused records and send them once more."),
    "doctor": Later(_HERE + "doctor", "Check everything the daemon needs."),
    "version": Later(_HERE + "version", "Show the version."),
}

_EXIT_CODES = """\b
Exit codes: 0 done; 1 failed, or the answer is no; 2 wrong use; 69 something
needed cannot be reached; 70 a fault of Watchkeeper; 75 try again later;
78 the configuration is wrong.
"""


@click.command(
    cls=LazyGroup,
    later=COMMANDS,
    context_settings={"auto_envvar_prefix": "WATCHKEEPER", "help_option_names": ["-h", "--help"]},
    epilog=_EXIT_CODES,
)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file. Default: watchkeeper.toml here, else in /etc/watchkeeper.",
)
@click.option(
    "--config-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of drop-ins: its *.toml, by name, go over the file.",
)
@click.option("-v", "--verbose", is_flag=True, help="Write debug log lines.")
@click.option("-q", "--quiet", is_flag=True, help="Write warnings and errors only.")
@click.option(
    "--log-format", type=click.Choice(["console", "json"]), help="How log lines are written."
)
@click.pass_context
def cli(
    ctx: click.Context,
    config: Path | None,
    config_dir: Path | None,
    verbose: bool,
    quiet: bool,
    log_format: str | None,
) -> None:
    """Keeps the watch over machine-learning models in production.

    Every option can be given as a variable: --config as WATCHKEEPER_CONFIG, and --seed of `demo`
    as WATCHKEEPER_DEMO_SEED. Begin with `watchkeeper demo`.
    """
    if verbose and quiet:
        raise click.UsageError("--verbose and --quiet exclude each other")
    overrides = {"daemon.log_format": log_format} if log_format else {}
    if verbose or quiet:
        overrides["daemon.log_level"] = "debug" if verbose else "warning"
    ctx.obj = Globals(config, config_dir, overrides)


def main(arguments: Sequence[str] | None = None) -> None:
    """The program. Ends with one of the exit codes that `--help` lists."""
    try:
        cli.main(args=arguments, prog_name="watchkeeper")
    except ImportError as error:
        said = packages.about(error)
        if not said:
            traceback.print_exc()
        else:
            click.echo(said, err=True)
        sys.exit(MISCONFIGURED if said else INTERNAL)
    except Exception:  # noqa: BLE001 - the one place that turns the unforeseen into exit code 70
        traceback.print_exc()
        sys.exit(INTERNAL)
