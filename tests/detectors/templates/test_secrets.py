from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.costs import at_most, seconds
from tests.detectors.templates.plain import plain
from watchkeeper.detectors.templates.masks import form_of
from watchkeeper.detectors.templates.secrets import LOOKED_AT, shown
from watchkeeper.detectors.templates.tree import TemplateTree

CANARY = "hunter2canary"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIE{}\n-----END RSA PRIVATE KEY-----"
NAMED = [
    "password={}",
    "db_password = '{}'",
    '{{"api_key": "{}", "user": "bob"}}',
    "PASSWD: {}",
    "pass={}",
    "client_secret => {}",
    "the token is {}",
    "session_id={}",
    "mysql -u root --password {}",
    "curl --api-token {} x",
    "AWS_SECRET_ACCESS_KEY={}",
    "Authorization: Basic {}",
    'authorization="Bearer {}"',
    "Cookie: a=b; sid={}",
    "X-Api-Key: {}",
    "Bearer {}",
    "postgres://bob:{}@db:5432/x",
    "https://{}@example.com/",
    "bob:{}@10.0.0.1",
    "Server=x;Pwd={};Database=y",
    KEY,
]
SHAPED = [
    "4111 1111 1111 1111",
    "5500-0000-0000-0004",
    "DE89370400440532013000",
    "de89370400440532013000",
    "DE89 3704 0044 0532 0130 00",
    "GB29-NWBK-6016-1331-9268-19",
    "NO93 8601 1117 947",
    "BE68 5390 0754 7034",
    "MT84MALT011000012345MTLCAST001S",
    "378282246310005",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF123_-",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "xoxb-123456789012-abcdefABCDEF",
    "sk_live_abcdefghijklmnop",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "ann.smith+tag@mail.example.com",
]
HARMLESS = [
    "Accepted password for root from 10.0.0.7 port 4711 ssh2",
    "basic authentication failed",
    "check pass; user unknown",
    "token bucket refilled",
    "took 1234567890123 ns, order 4111111111111112",
    "/var/log/app/2026-01-01/server.log rotated",
    "order DE89370400440532013001, batch AB12CDEF3456GH78 of NO93 8601 1117 948",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
]


@pytest.mark.parametrize("line", NAMED)
def test_what_is_called_a_secret_is_not_shown(line: str) -> None:
    assert CANARY not in shown(line.format(CANARY))


@pytest.mark.parametrize("line", NAMED)
def test_what_is_called_a_secret_is_in_no_template(line: str) -> None:
    tree = TemplateTree()

    number = tree.add(form_of(line.format(CANARY)))

    assert CANARY not in tree.text(number)
    assert CANARY not in str(tree.state())


@pytest.mark.parametrize("secret", SHAPED)
def test_what_looks_like_a_secret_is_not_shown(secret: str) -> None:
    line = shown(f"got {secret} from peer")

    assert secret not in line
    assert line.startswith("got ")
    assert line.endswith(" from peer")


def test_words_behind_an_account_number_are_shown() -> None:
    line = "from BE68 5390 0754 7034 OVER 1200 DONE, iban=NO9386011117947;next"

    assert shown(line) == "from *** OVER 1200 DONE, iban=***;next"


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        (
            "transfer BE68 5390 0754 7034 DE89 3704 0044 0532 0130 00 done",
            "transfer *** *** done",
        ),
        ("node AB12 DE89 3704 0044 0532 0130 00", "node AB12 ***"),
        ("REF-TX42-DE89-3704-0044-0532-0130-00", "REF-TX42-***"),
    ],
)
def test_an_account_number_behind_another_group_is_not_shown(line: str, seen: str) -> None:
    assert shown(line) == seen


@pytest.mark.parametrize("line", HARMLESS)
def test_other_lines_are_shown_as_they_are(line: str) -> None:
    assert shown(line) == line


def test_a_key_that_is_cut_off_is_not_shown() -> None:
    assert "MIIE" not in shown(KEY.format("x")[:50])


def test_control_characters_are_written_out() -> None:
    assert shown("a\x1b[31mb\nc\u202ed\ud800") == r"a\x1b[31mb\nc\u202ed\ud800"


@given(st.text(max_size=1_000), st.integers(2, 400))
def test_a_shown_line_is_one_short_line(text: str, longest: int) -> None:
    line = shown(text, longest)

    assert len(line) <= longest
    assert "\n" not in line
    line.encode()


@pytest.mark.parametrize(
    "part",
    [
        "a.",
        "a-",
        "1 ",
        "1-",
        "a:",
        "pass",
        "token=",
        '"',
        "a@",
        "://",
        "eyJ.",
        "aB1",
        "-----BEGIN ",
    ],
)
def test_no_line_takes_long(part: str) -> None:
    line = part * 65_536
    easy = plain(LOOKED_AT)

    assert at_most(25, lambda: seconds(lambda: shown(line)), lambda: seconds(lambda: shown(easy)))
