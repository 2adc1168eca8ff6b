from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.daemon.transport.merge import Aligner
from watchkeeper.daemon.transport.ports import Partition, Record
from watchkeeper.daemon.transport.records import Records

Log = list[float]
logs = st.lists(st.lists(st.integers(0, 9).map(float), max_size=12), min_size=1, max_size=4)


def records(number: int, times: Log) -> Records:
    return Records.of(Record("t", number, i, at, None, b"") for i, at in enumerate(times))


def oracle(all_times: list[Log]) -> list[tuple[int, int]]:
    """The merge record by record: always the head with the smallest timestamp."""
    left = [list(records(n, times)) for n, times in enumerate(all_times)]
    order = []
    while any(left):
        head = min((log[0].at, n) for n, log in enumerate(left) if log)[1]
        order.append((head, left[head].pop(0).offset))
    return order


def run(all_times: list[Log], draw: st.DataObject) -> list[tuple[int, int]]:
    """Feeds the aligner by chance, telling it truly what is still waiting."""
    left = [records(n, times) for n, times in enumerate(all_times)]
    aligner = Aligner()
    order: list[tuple[int, int]] = []
    while any(map(len, left)) or len(aligner):
        if fillable := [n for n, log in enumerate(left) if len(log)]:
            number = draw.draw(st.sampled_from(fillable))
            count = draw.draw(st.integers(1, len(left[number])))
            aligner.add(left[number][:count])
            left[number] = left[number][count:]
        waiting = [Partition("t", n) for n, log in enumerate(left) if len(log)]
        most = draw.draw(st.none() | st.integers(1, 5))
        released = aligner.release(waiting, most)
        assert most is None or len(released) <= most
        order += [(r.partition, r.offset) for r in released]
    return order


@given(logs, st.data())
def test_how_records_were_polled_does_not_change_their_order(
    all_times: list[Log], draw: st.DataObject
) -> None:
    assert run(all_times, draw) == oracle(all_times)


@given(logs, st.data())
def test_going_on_after_any_released_prefix_gives_the_same_order(
    all_times: list[Log], draw: st.DataObject
) -> None:
    whole = oracle(all_times)
    cut = draw.draw(st.integers(0, len(whole)))
    done = [sum(1 for n, _ in whole[:cut] if n == number) for number in range(len(all_times))]
    rest = [times[start:] for times, start in zip(all_times, done, strict=True)]

    again = [(n, offset + done[n]) for n, offset in run(rest, draw)]

    assert whole[:cut] + again == whole


def test_a_caught_up_partition_holds_nothing_back() -> None:
    aligner = Aligner()
    aligner.add(records(0, [5.0, 6.0]))

    assert len(aligner.release(waiting=())) == 2


def test_a_waiting_partition_holds_back_what_it_could_overtake() -> None:
    aligner = Aligner()
    aligner.add(records(0, [1.0, 3.0, 5.0]))
    aligner.add(records(1, [2.0, 3.0]))

    released = aligner.release(waiting=[Partition("t", 1)])

    assert [(r.partition, r.at) for r in released] == [(0, 1.0), (1, 2.0), (0, 3.0), (1, 3.0)]
    assert aligner.count() == {Partition("t", 0): 1, Partition("t", 1): 0}


def test_a_full_buffer_is_named() -> None:
    aligner = Aligner(limit=3)
    aligner.add(records(0, [1.0, 2.0, 3.0]))
    aligner.add(records(1, [1.0]))

    assert aligner.full() == {Partition("t", 0)}


def test_partitions_share_the_bytes_that_may_be_held() -> None:
    aligner = Aligner(limit_bytes=3_000)
    aligner.add(Records.of([Record("t", 0, 0, 1.0, None, b"x" * 2_000)]))
    assert aligner.full() == set()

    aligner.add(Records.of([Record("t", 1, 0, 1.0, None, b"x" * 100)]))

    assert aligner.full() == {Partition("t", 0)}
    aligner.release((), most=1)
    assert aligner.full() == set()
    assert aligner.size == 200


def test_keys_count_among_the_bytes_that_are_held() -> None:
    aligner = Aligner(limit_bytes=3_000)
    aligner.add(Records.of([Record("t", 0, 0, 1.0, b"k" * 3_000, b"x")]))

    assert aligner.full() == {Partition("t", 0)}


def test_a_part_of_a_run_leaves_the_rest_in_the_books() -> None:
    aligner = Aligner()
    aligner.add(records(0, [1.0, 2.0, 3.0]))
    whole = aligner.size

    released = aligner.release((), most=2)

    assert [r.offset for r in released] == [0, 1]
    assert (len(aligner), aligner.size) == (1, whole / 3)


def test_a_dropped_partition_is_forgotten() -> None:
    aligner = Aligner()
    aligner.add(records(0, [1.0]))
    aligner.add(records(1, [2.0]))

    aligner.drop(Partition("t", 0))

    assert [r.partition for r in aligner.release(())] == [1]
    assert len(aligner) == 0
