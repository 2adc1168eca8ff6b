"""Where reading goes on behind an unreadable batch, whatever lies behind it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.daemon.transport.quarantine import Fault, behind


@dataclass
class Log:
    """A partition of batches (size, whether it can be read, by how much its head lies about its
    end: None where it says nothing), and how often it was looked at."""

    batches: list[tuple[int, bool, int | None]]
    looks: int = 0
    ends: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        for size, _, _ in self.batches:
            self.ends.append((self.ends[-1] if self.ends else 0) + size)

    def look(self, offset: int) -> Fault | None:
        self.looks += 1
        for number, (_, good, lie) in enumerate(self.batches):
            if offset < self.ends[number]:
                end = None if lie is None else self.ends[number] + lie
                return None if good else Fault("broken", b"head %d" % number, end)
        return None

    def read(self) -> tuple[set[int], list[tuple[int, int]]]:
        """The offsets that were read, and the ranges that were passed over."""
        read, passed, at = set(), [], 0
        while at < self.ends[-1]:
            fault = self.look(at)
            if fault is None:
                read.add(at)
                at += 1
                continue
            end = behind(fault, at, self.ends[-1], self.look)
            passed.append((at, end))
            at = end
        return read, passed

    def expected(self) -> tuple[set[int], list[tuple[int, int]]]:
        read: set[int] = set()
        bad, start = [], 0
        for end, (_, good, _) in zip(self.ends, self.batches, strict=True):
            if good:
                read.update(range(start, end))
            else:
                bad.append((start, end))
            start = end
        return read, bad


def offsets(ranges: list[tuple[int, int]]) -> list[int]:
    return [offset for start, end in ranges for offset in range(start, end)]


SIZES = st.one_of(st.integers(1, 4), st.integers(1, 700))
LIES = st.one_of(st.just(0), st.none(), st.integers(-800, 800))


@given(st.lists(st.tuples(SIZES, st.booleans(), st.just(0)), min_size=1, max_size=8))
def test_no_good_record_is_passed_over_where_heads_are_right(
    batches: list[tuple[int, bool, int | None]],
) -> None:
    log = Log(batches)

    assert log.read() == log.expected()


@given(st.lists(st.tuples(SIZES, st.booleans(), LIES), min_size=1, max_size=8))
def test_no_good_record_is_passed_over_where_heads_lie(
    batches: list[tuple[int, bool, int | None]],
) -> None:
    log = Log(batches)

    read, passed = log.read()

    expected, ranges = log.expected()
    assert read == expected
    assert offsets(passed) == offsets(ranges)


def test_a_large_batch_between_others_costs_one_look_by_its_head_and_few_without() -> None:
    for lie, most in ((0, 1), (None, 32)):
        log = Log([(50_000, False, lie), (1, True, 0), (50_000, False, lie)])
        first = log.look(0)
        assert first is not None

        assert behind(first, 0, 100_001, log.look) == 50_000
        assert log.looks - 1 <= most


def test_what_nothing_is_known_of_is_passed_over_record_by_record() -> None:
    fault = Fault("no answer came", b"", None)

    assert behind(fault, 7, 1_000, lambda _: fault) == 8
