"""`watchkeeper replay FILE...`."""

from __future__ import annotations

from pathlib import Path

import click

from watchkeeper.daemon.cli.common import globals_of, load, log_aside
from watchkeeper.daemon.cli.output import Output, output_option


@click.command("replay")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True, path_type=Path)
)
@click.option(
    "--database", metavar="URL", help="Keep the record there, in a new database. Default: nowhere."
)
@output_option
@click.pass_context
def command(
    ctx: click.Context, files: tuple[Path, ...], database: str | None, output: Output
) -> None:
    """Run recorded events through the same pipeline.

    FILES hold one event a line, as JSON; .gz is unpacked, and - is the standard input. Nothing is
    acted upon and nobody is paged: it shows what the daemon would have found.
    """
    loaded = load(globals_of(ctx))
    from watchkeeper.daemon.replay import replay

    log_aside(loaded.config)
    ctx.exit(replay(loaded.config, list(files), output=output, database=database))
