"""What tests of compiled kernels ask for: a process that can have them."""

from __future__ import annotations

import os

import pytest

from watchkeeper.detectors import fast


def _missing() -> str:
    if fast.forbidden():
        return "this process may not make code"
    if os.environ.get("WATCHKEEPER_FAST") == "0":
        return "kernels are not wanted: WATCHKEEPER_FAST=0"
    return "needs the extra `fast`"


needs_kernels = pytest.mark.skipif(not fast.available(), reason=_missing())
