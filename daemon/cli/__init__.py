"""The command line. Commands are imported when they are called, not before."""

from watchkeeper.daemon.cli.root import cli, main

__all__ = ["cli", "main"]
