from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.costs import at_most, seconds
from tests.detectors.templates.plain import plain
from watchkeeper.detectors.templates.masks import LONGEST, WILD, form_of

CASES = [
    ("took 12 ms", "took <*>"),
    ("load -1.5%", "load <*>"),
    ("at 0x7fff5fbff8a0", "at <*>"),
    ("digest deadbeef01", "digest <*>"),
    ("from 10.0.0.1:50010 to [fe80::1:2:3]", "from <*> to [<*>]"),
    ("mac 00:1b:44:11:3a:b7", "mac <*>"),
    ("uuid 54fadb41-2c4e-40cd-baed-9335e4c35a9e", "uuid <*>"),
    ("read /var/log/app.log now", "read <*> now"),
    (r"read C:\Windows\System32\x.dll now", "read <*> now"),
    ("GET https://example.com/a?b=1 done", "GET <*> done"),
    ("mail to ann@example.com bounced", "mail to <*> bounced"),
    ("proxy.example.org:5070 close", "<*> close"),
    ("pid=77 uid=0", "pid=<*> uid=<*>"),
    ("worker eth0 job_12 blk_-3", "worker eth<*> job_<*> blk_<*>"),
    ("at Mon Sep 27 22:15:07 EDT 2004 ok", "at <*> ok"),
    ("at 2015-07-29 17:41:44,747 ok", "at <*> ok"),
    ("2192 bytes (2.14 KB) sent", "<*> sent"),
    ("nodes 1, 2, 3 left", "nodes <*> left"),
    ("session of user root closed", "session of user <*> closed"),
    ("Invalid user user from 1.2.3.4", "Invalid user <*> from <*>"),
    ("connection from 1.2.3.4 ()", "connection from <*>"),
    ("connection from 1.2.3.4 (host.example1.org)", "connection from <*>"),
    ("password=hunter2 ok", "password=<*> ok"),
    ("token: abcdef ok", "token: <*> ok"),
    ("key AKIAIOSFODNN7EXAMPLE used", "key <*> used"),
    ("nothing to see", "nothing to see"),
    ("first line\nsecond 2", "first line"),
    ("\n\n  indented  twice ", "indented twice"),
    ("", ""),
]


@pytest.mark.parametrize(("line", "form"), CASES)
def test_values_become_wildcards(line: str, form: str) -> None:
    assert form_of(line) == form


def test_only_the_beginning_of_a_line_is_looked_at() -> None:
    words = "abcdefghi " * LONGEST

    assert len(form_of(words)) <= LONGEST
    assert form_of(words).split()[-1] == "abcdefghi"


@given(st.text(max_size=300))
def test_a_form_is_one_line_of_words_with_single_spaces(text: str) -> None:
    form = form_of(text)

    assert form == " ".join(form.split())


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_lines_that_differ_in_numbers_have_one_form(a: int, b: int) -> None:
    said = "copied {} blocks from node{} in {} ms"

    assert form_of(said.format(a, a, a)) == form_of(said.format(b, b, b))
    assert WILD in form_of(said.format(a, a, a))


@pytest.mark.parametrize(
    "part",
    ["a.", "a-", "1.", "1:", "a:", "/a", "\\a", "a@", "=1,", "aB1", "(", '"', "<*>", "a1.", "x:1 "],
)
def test_no_line_takes_long(part: str) -> None:
    line = part * 65_536
    easy = plain(LONGEST)

    assert at_most(
        50, lambda: seconds(lambda: form_of(line)), lambda: seconds(lambda: form_of(easy))
    )
