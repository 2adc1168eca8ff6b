from __future__ import annotations

import gzip
import io
import os
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.daemon.transport.contract import SourceContract, messages, read, request_ids
from watchkeeper.daemon.transport.file import LONGEST_LINE, FileSink, FileSource
from watchkeeper.daemon.transport.ports import Message, Partition, Sink, Source, SourceError


class TestFile(SourceContract):
    topic = "labels"

    @pytest.fixture(autouse=True)
    def _path(self, tmp_path: Path) -> None:
        self.path = tmp_path / "events.jsonl"
        self.path.touch()

    def make_source(self) -> Source:
        return FileSource(self.path, self.topic)

    def make_sink(self) -> Sink:
        return FileSink(self.path)


def lines(path: Path, *rows: bytes) -> Path:
    path.write_bytes(b"\n".join(rows) + b"\n")
    return path


def everything(path: Path | str) -> list[tuple[int, bytes | None]]:
    with closing(FileSource(path, "t", max_records=2)) as source:
        found = []
        while not source.ended():
            polled = source.poll(0.1)
            found += [(r.offset, r.value) for r in polled.records]
            for partition in polled.assigned:
                source.start(partition, None)
        return found


def test_the_offset_is_the_number_of_the_line(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", b"1", b"", b"2", b"  ", b"3")

    assert everything(path) == [(0, b"1"), (2, b"2"), (4, b"3")]


def test_the_last_line_needs_no_newline(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n2")

    assert everything(path) == [(0, b"1"), (1, b"2")]


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"1\n2\n"))

    assert everything(path) == [(0, b"1"), (1, b"2")]


def test_a_damaged_compressed_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(os.urandom(5_000))[:2_000])

    with pytest.raises(SourceError, match=r"a\.jsonl\.gz: cannot be read on"):
        everything(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be opened: No such file"):
        FileSource(tmp_path / "none", "t")


def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", b"x" * (LONGEST_LINE + 3_000_000), b"2")

    (_, long), second = everything(path)

    assert long is not None
    assert len(long) < LONGEST_LINE + 1_000_000
    assert second == (1, b"2")


def test_the_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"1\n2\n")
    with open(reading, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        source = FileSource("-", "t")
        source.start(source.poll(0.0).assigned[0], None)

        assert [r.value for r in source.poll(1.0).records] == [b"1", b"2"]
        assert not source.poll(0.01).records
        assert not source.ended()
        os.close(writing)
        source.poll(1.0)
        assert source.ended()
        with pytest.raises(SourceError, match="second time"):
            source.start(Partition("t", 0), 0)


def test_what_a_sink_wrote_is_one_line_a_message_with_its_topic(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with closing(FileSink(path)) as sink:
        sink.publish(messages("labels", 2), 1.0)

    first = msgspec.json.decode(path.read_bytes().splitlines()[0])

    assert first["topic"] == "labels"
    assert first["partitionkey"] == "fraud"
    assert first["type"] == "watchkeeper.label.v1"
    with closing(FileSource(path, "t")) as source:
        assert request_ids(read(source, 2)) == ["r-0", "r-1"]


def test_a_sink_says_what_it_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with closing(FileSink(path)) as sink:
        said = sink.publish([Message("t", None, b'{\n "a": 1}'), Message("t", None, b"\xff")], 1.0)

    assert said[0] is None
    assert said[1] is not None
    assert path.read_bytes() == b'{"a":1}\n'


def test_the_protocols_are_kept(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", b"1")

    with closing(FileSource(path, "t")) as source, closing(FileSink(path)) as sink:
        assert isinstance(source, Source)
        assert isinstance(sink, Sink)
