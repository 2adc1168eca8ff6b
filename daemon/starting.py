"""What must be there before the daemon is built; what is not is told in one sentence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.secrets import masked
from watchkeeper.daemon.exit_codes import MISCONFIGURED, UNAVAILABLE
from watchkeeper.daemon.storage import migrate
from watchkeeper.daemon.storage.faults import DatabaseFault, StorageError

log = structlog.get_logger()

PATIENCE_S = 60.0
LONGEST_PAUSE_S = 10.0


class CannotStart(Exception):
    """Why there can be no daemon now; `code` is how the process has to end."""

    def __init__(self, said: str, code: int = UNAVAILABLE) -> None:
        super().__init__(said)
        self.code = code


def make_ready(
    config: Config,
    patience_s: float = PATIENCE_S,
    wait: Callable[[float], object] | None = None,
) -> None:
    """Makes the folder of the state and the newest layout of the database, or raises CannotStart.

    A database over the network is waited for, up to `patience_s` seconds.
    """
    _make_folder(Path(config.daemon.state_dir))
    url = config.database.url
    until, pause = time.monotonic() + patience_s, 1.0
    while True:
        try:
            migrate.upgrade(url)
            return
        except ImportError as error:
            fix = "pip install 'watchkeeper[postgres]'"
            raise CannotStart(f"database {masked(url)}: {error}: {fix}") from error
        except (DatabaseFault, StorageError, OSError) as error:
            said = f"database {masked(url)}: {str(error).strip().partition(chr(10))[0]}"
            if url.startswith("sqlite") or time.monotonic() + pause > until:
                raise CannotStart(said) from error
            log.warning("waiting for the database", reason=said, seconds=pause)
        (wait or threading.Event().wait)(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lock").open("a").close()
    except OSError as error:
        said = f"daemon.state_dir {folder} cannot be written to: {error.strerror}"
        raise CannotStart(said, MISCONFIGURED) from error
