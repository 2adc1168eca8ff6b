"""`watchkeeper calibrate FILE...`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchkeeper.daemon.cli.common import globals_of, load, log_aside, opened
from watchkeeper.daemon.cli.outcome import Refused
from watchkeeper.daemon.cli.output import Output, output_option, show_rows

if TYPE_CHECKING:
    from watchkeeper.daemon.calibrating import Row

_COLUMNS = (
    "model",
    "signal",
    "target",
    "detector",
    "severity",
    "series",
    "observed",
    "windows",
    "runs",
    "mean",
    "low",
    "high",
    "wanted",
    "may_page",
)


@click.command("calibrate")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True, path_type=Path)
)
@click.option("--model", default="*", show_default=True, help="Shell pattern over models.")
@click.option("--signal", default="*", show_default=True, help="Shell pattern over signals.")
@click.option("--detector", default="*", show_default=True, help="Shell pattern over detectors.")
@click.option(
    "--save",
    is_flag=True,
    help="Keep it in the database; the daemon reads it at its start.",
)
@output_option
@click.pass_context
def command(
    ctx: click.Context,
    files: tuple[Path, ...],
    model: str,
    signal: str,
    detector: str,
    save: bool,
    output: Output,
) -> None:
    """Measure how often detectors would have been wrong.

    FILES hold recorded events of a time in which nothing was wrong, one a line, as for `replay`.
    Each detector judges the history as it was, and then blocks of up to 240 windows drawn from it.
    The table shows the mean number of windows between two runs of findings over all series of a
    watch, its 95 % bounds, and the number that `false_alarms` asks for. `series_anomaly` and a
    detector from river or a plugin page only if they were measured on at least a quarter of that
    time, saved, and may. The others may in any case: their levels follow from `false_alarms` or
    were given.
    """
    config = load(globals_of(ctx)).config
    from watchkeeper.daemon.calibrating import Asked, calibrate
    from watchkeeper.daemon.calibrating import save as keep
    from watchkeeper.daemon.transport.ports import SourceError

    log_aside(config)
    if save:
        with opened(config):  # before hours of reading, not after
            pass
    try:
        rows = calibrate(config, list(files), Asked(model, signal, detector))
    except SourceError as error:
        raise Refused(str(error)) from error
    if save:
        with opened(config) as store:
            keep(store, rows)
    show_rows([_plain(row) for row in rows], _COLUMNS, output, "no such series in these files")


def _plain(row: Row) -> dict[str, object]:
    from msgspec.structs import asdict

    return asdict(row)
