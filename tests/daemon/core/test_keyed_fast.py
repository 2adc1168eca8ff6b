"""The compiled index finds the same rows as the one it stands for."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compiled import needs_kernels
from watchkeeper.daemon.core.keyed import FIRST, Index

pytestmark = needs_kernels


@pytest.mark.parametrize("different", [30, 3_000])
def test_rows_are_found_and_lost_as_by_the_index_in_numpy(different: int) -> None:
    from watchkeeper.daemon.core.keyed_fast import CompiledIndex

    random = np.random.default_rng(different)
    plain, compiled = Index(4_000), CompiledIndex(4_000)
    known = np.zeros(4_000, dtype=np.uint64)
    pool = random.integers(1, 2**64 - 1, size=different, dtype=np.uint64)
    end = FIRST
    while end + 300 < len(known):
        keys = random.choice(pool, 300)
        rows = np.arange(end, end + 300, dtype=np.int32)
        known[rows] = keys
        gone = [set(index.put(keys, rows, known).tolist()) for index in (plain, compiled)]
        assert gone[0] == gone[1]
        known[sorted(gone[0])] = 0  # as the rows are dropped that nobody finds
        end += 300
        asked = np.concatenate([pool, random.integers(1, 2**64 - 1, 50, dtype=np.uint64)])
        found = plain.find(asked, known)
        assert found.tolist() == compiled.find(asked, known).tolist()
        assert (known[found[found > 0]] == asked[found > 0]).all()
