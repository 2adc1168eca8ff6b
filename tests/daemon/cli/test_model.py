"""`watchkeeper model`."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.cli.conftest import Answer, Host
from watchkeeper.daemon.storage.store import Store
from watchkeeper.detectors.types import Command

ROWS = ["amount,country,code,answer,score,truth,id"] + [
    f"{i * 1.5},{'DE' if i % 3 else ''},{i % 4:03d},{'yes' if i % 5 else 'no'},0.{i % 10},no,r{i}"
    for i in range(200)
]
ROLES = (
    *("--model", "fraud", "--version", "13", "--prediction", "answer", "--score", "score"),
    *("--label", "truth", "--exclude", "id", "--categorical", "code"),
)


def reference(host: Host, name: str = "reference.csv") -> Path:
    """A file of reference data."""
    path = host.folder / name
    text = ("\n".join(ROWS) + "\n").encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


@pytest.mark.parametrize("name", ["reference.csv", "reference.csv.gz"])
def test_a_reference_is_made_from_a_file_and_kept(host: Host, name: str) -> None:
    ended = host.run("model", "profile", "--from", str(reference(host, name)), *ROLES)

    assert ended.exit_code == 0, ended.output
    store = Store(host.url)
    (profile,) = store.registry.profiles("fraud")
    store.close()
    assert (profile.version, profile.source, profile.n) == ("13", "imported", 200)
    assert [each.name for each in profile.numeric] == ["amount"]
    assert {each.name: each.missing for each in profile.categorical} == {"country": 67, "code": 0}
    assert profile.classes is not None
    assert set(profile.classes.categories) == {"yes", "no"}
    assert profile.score is not None


def test_a_running_daemon_is_told_of_the_reference(
    host: Host, daemon: Callable[[Answer], list[Command]]
) -> None:
    words = ("model", "profile", "--from", str(reference(host)), *ROLES)
    left = host.run(*words)

    taken = daemon(lambda command: "done: fraud is compared with it")
    answered = host.run(*words, "--wait", "20")

    assert (left.exit_code, answered.exit_code) == (0, 0), answered.output
    assert "left for the daemon: profile fraud" in left.stdout
    assert "done: fraud is compared with it" in answered.stdout
    assert [(c.command, c.target, c.model_name) for c in taken] == [
        ("profile", "fraud", "fraud")
    ] * 2


def test_parquet_gives_the_same_reference_as_csv(host: Host) -> None:
    arrow = pytest.importorskip("pyarrow", reason="needs the extra `parquet`")
    import pyarrow.csv
    import pyarrow.parquet

    csv = reference(host)
    as_text = pyarrow.csv.ConvertOptions(
        column_types={"code": arrow.string()}, strings_can_be_null=True
    )
    table = pyarrow.csv.read_csv(csv, convert_options=as_text)
    pyarrow.parquet.write_table(table, host.folder / "reference.parquet")

    for name in ("reference.csv", "reference.parquet"):
        words = ("model", "profile", "--from", str(host.folder / name), *ROLES)
        version = name.rpartition(".")[2]
        assert host.run(*words, "--version", version).exit_code == 0

    store = Store(host.url)
    profiles = {each.version: each for each in store.registry.profiles("fraud")}
    store.close()
    assert profiles["csv"].numeric == profiles["parquet"].numeric
    assert profiles["csv"].categorical == profiles["parquet"].categorical
    assert profiles["csv"].classes == profiles["parquet"].classes


def test_parquet_without_its_extra_says_the_exact_command(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = host.folder / "r.parquet"
    path.write_bytes(b"PAR1" + bytes(8))
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    ended = host.run("model", "profile", "--from", str(path), *ROLES)

    assert ended.exit_code == 69
    assert "pip install 'watchkeeper[parquet]'" in ended.stderr


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("", 1, "no rows"),
        ("a,answer,score,truth,id,code\n", 1, "no rows"),
        ("a,a\n1,2\n", 1, "the same name"),
        ("a,b\n1\n", 1, ":2: 1 cells under 2 names"),
        ("answr,score\nx,1\n", 2, 'did you mean "answr"'),
        ("\xff", 1, "no rows"),
    ],
)
def test_a_file_that_is_no_reference_is_refused(
    host: Host, text: str, code: int, part: str
) -> None:
    path = host.folder / "r.csv"
    path.write_text(text)

    ended = host.run("model", "profile", "--from", str(path), *ROLES)

    assert (ended.exit_code, part in ended.stderr) == (code, True), ended.stderr


def test_a_version_is_registered_with_the_digest_of_its_file(host: Host) -> None:
    file = host.folder / "model.onnx"
    file.write_bytes(b"weights")

    first = host.run("model", "register", "fraud", "13", "--file", str(file), "--live")
    again = host.run("model", "register", "fraud", "13", "--file", str(file))
    file.write_bytes(b"other weights")
    changed = host.run("model", "register", "fraud", "13", "--file", str(file))

    assert (first.exit_code, again.exit_code, changed.exit_code) == (0, 0, 1)
    assert "is registered with digest" in changed.stderr
    shown = json.loads(host.run("model", "show", "fraud", "-o", "json").stdout)
    assert shown["live"] == "13"
    assert shown["versions"][0]["digest"] == hashlib.sha256(b"weights").hexdigest()
    assert shown["versions"][0]["uri"] == str(file)
    assert [each["version"] for each in shown["deployments"]] == ["13"]


@pytest.mark.parametrize(
    "words",
    [
        ("fraud", "1"),
        ("fraud", "1", "--uri", "s3://x"),
        ("fraud", "1", "--uri", "s3://x", "--digest", "abc"),
        ("fr aud", "1", "--uri", "s3://x", "--digest", "a" * 64),
    ],
)
def test_a_version_without_place_digest_or_name_is_wrong_use(
    host: Host, words: tuple[str, ...]
) -> None:
    assert host.run("model", "register", *words).exit_code == 2


def test_models_are_listed(host: Host) -> None:
    host.run("model", "register", "churn", "2", "--uri", "s3://x", "--digest", "a" * 64)

    listed = json.loads(host.run("model", "list", "-o", "json").stdout)

    assert [(each["model"], each["versions"]) for each in listed] == [("churn", 1)]
    assert host.run("model", "show", "nothing").exit_code == 1
