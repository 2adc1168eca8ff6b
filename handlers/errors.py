"""What can go wrong while a handler acts."""

from __future__ import annotations


class HandlerError(Exception):
    """An action could not be performed; the message says what was wrong and where."""


class Unreachable(HandlerError):
    """A target did not answer, so nobody knows whether it did what was asked."""


class Refused(HandlerError):
    """A target answered that it will not do what was asked; `status` is HTTP's, if any."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Interrupted(HandlerError):
    """The daemon is stopping: the action stays started and is taken up again at the next start."""


class Withdrawn(HandlerError):
    """An action is not wanted any more: what permitted it was taken back before it began."""
