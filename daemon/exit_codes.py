"""How a process ends: the exit codes of every command, those of sysexits.h where it has one."""

from __future__ import annotations

OK = 0
FAILED = 1  # failed, or the answer is no
WRONG_USE = 2  # click's own, of the command line
UNAVAILABLE = 69  # something that is needed cannot be reached
INTERNAL = 70  # a fault of ours
TRY_AGAIN = 75  # the same may work later
MISCONFIGURED = 78
