"""What the loop asks the database for while it turns: people's commands, and references."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

import structlog

from watchkeeper.daemon.core.state import whole
from watchkeeper.daemon.holdings import Holdings
from watchkeeper.daemon.spreading import addressed
from watchkeeper.detectors.profile import Profile
from watchkeeper.detectors.types import Command

log = structlog.get_logger()

INBOX_S = 1.0


@dataclass
class Asking:
    """Looks into the inbox now and then, and for the references of models that are new here.

    `steady` is a clock that nobody sets.
    """

    holdings: Holdings
    steady: Callable[[], float]
    _looked_at: float = float("-inf")

    def commands(self, known: Container[str]) -> list[Command]:
        """Commands in the inbox but for the `known` ones, which are answered by now, and those of
        models that another instance watches, or that this one is yet to take up."""
        if self.steady() - self._looked_at < INBOX_S:
            return []
        self._looked_at = self.steady()
        insist, store = self.holdings.patience.insist, self.holdings.store
        waiting = [each for each in insist(store.inbox.waiting) if each.id not in known]
        strange = self.holdings.strangers(map(_about, waiting))
        if not strange:
            return waiting
        watched = insist(lambda: store.records.watched(strange))
        return [each for each in waiting if _about(each) not in watched]

    def references(self, seen: Set[str], commands: Sequence[Command]) -> Iterable[Profile]:
        """What was imported for models that are met for the first time, or when a person says."""
        holdings = self.holdings
        state, spreading = holdings.state, holdings.spreading
        wanted = holdings.strangers(seen)
        wanted |= {c.target for c in commands if c.command == "profile"} & holdings.homes.keys()
        if spreading is not None:
            wanted |= spreading.unreferred(state, self.steady())
        if not wanted:
            return ()
        models = sorted({whole(each) for each in wanted})
        imported = holdings.patience.insist(lambda: holdings.store.registry.imported(models))
        return _told(addressed(imported, wanted, state))


def _told(references: Iterable[Profile]) -> Iterator[Profile]:
    for each in references:
        log.info("reference taken up", model=each.model, version=each.version, n=each.n)
        yield each


def _about(command: Command) -> str:
    """The model that a command is about."""
    return command.model_name or command.target
