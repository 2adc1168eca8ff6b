"""Lines as they may be shown: without passwords, tokens, keys, card and account numbers, addresses.

What is shown of a line is looked over by patterns, so a secret of a form that none of them knows
stays. They rather hide a word too many than one too few.
"""

from __future__ import annotations

import re

HIDDEN = "***"
LOOKED_AT = 4_000  # characters; what comes after is not shown

# What is called so has a value that nobody may see.
NAMES = (
    "passw|passphrase|pwd|secret|token|api[-_ ]?key|access[-_ ]?key|private[-_ ]?key|auth[-_ ]?key"
    "|pass(?=[\"']?\\s{0,3}[:=])|account[-_ ]?key|encryption[-_ ]?key"
    "|credential|session[-_ ]?id|sessid|signature|cvv|cvc|dsn"
)
_HINTS = (
    *("pass", "pwd", "secret", "token", "key", "credential", "sess", "signature", "cvv", "cvc"),
    *("dsn", "authorization", "cookie", "bearer", "basic ", "digest ", "negotiate "),
)
_QUOTED = r'"(?:[^"\\]|\\.){0,2000}"?|\'(?:[^\'\\]|\\.){0,2000}\'?'
# password=x, "api_key": "x", token is x; the value up to what ends it
_NAMED = re.compile(
    rf"(?i)((?:{NAMES})[\w-]{{0,30}}[\"']?\s{{0,3}}(?:=>|:=|[:=]|\bis\b)\s{{0,3}})"
    rf"({_QUOTED}|[^\s,;&\"'\]}})]+)"
)
_OPTION = re.compile(rf"(?i)(?<!\S)(--?[\w-]{{0,30}}(?:{NAMES})[\w-]{{0,30}}\s{{1,3}})(?!-)\S+")

_PRIVATE = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_HEADER = re.compile(
    r"(?i)((?:authorization|x-[\w-]{0,30}(?:key|token|signature)|(?:set-)?cookie)[\"']?\s{0,3}"
    r"[:=]\s{0,3})[^\r\n]+"
)
_SCHEME = re.compile(r"(?i)\b((?:bearer|basic|digest|negotiate)\s{1,3})(?=\S*[^\sa-z])\S{6,}")
_USERINFO = re.compile(r"(?<=://)[^\s/?#]*@")
_BARE_USERINFO = re.compile(r"(?<![\w/:.-])[\w.-]{1,64}:[^\s:/@]{1,128}@(?=[\w\[])")
_MAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_TOKENS = re.compile(
    r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"  # JSON Web Token
    r"|\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{12,}"  # Amazon
    r"|\bAIza[\w-]{30,}|\bya29\.[\w-]{10,}"  # Google
    r"|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\bxox[a-z]-[\w-]{8,}|\b[rsp]k_(?:live|test)_\w{8,}|\bsk-[\w-]{16,}"
    r"|\bhf_\w{20,}|\bnpm_\w{20,}|\bpypi-[\w-]{16,}|\bSG\.[\w-]{10,}\.[\w-]{10,}"
    r"|\b[sbr]\.[A-Za-z0-9]{24,}"
)
_LONG = re.compile(r"(?<![\w+/=-])(?=[\w+/=-]*\d)(?=[\w+/=-]*[a-z])(?=[\w+/=-]*[A-Z])[\w+/=-]{32,}")
_CARD = re.compile(r"(?<![\d.])[2-6](?:[ -]?\d){12,18}(?![\d])")
# As banks print it, in groups of four, or in one piece.
_IBAN = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Za-z]{2}\d\d[A-Za-z0-9]{11,30}(?![A-Za-z0-9])"
    r"|[A-Z]{2}\d\d(?:[ -][A-Z0-9]{4}(?![A-Za-z0-9])){2,7}(?:[ -][A-Z0-9]{1,3}(?![A-Za-z0-9]))?)"
)
_IBAN_LEAST = 15  # characters
# C0 and C1 controls, marks that turn the direction of text round, and halves of characters
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def shown(line: str, longest: int = 300) -> str:
    r"""The line as it may be shown: one line, secrets hidden, at most `longest` characters.

    >>> shown("login of ann@example.com with password=hunter2\n")
    'login of *** with password=***'
    """
    text = _hidden(line[:LOOKED_AT].strip())
    text = _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def without_named(text: str, hidden: str = HIDDEN) -> str:
    """The text with the values of what is called a secret hidden; quick where there are none.

    >>> without_named("token=abc user=ann")
    'token=*** user=ann'
    """
    lower = text.lower()
    if not any(hint in lower for hint in _HINTS):
        return text
    for pattern in (_HEADER, _SCHEME, _NAMED, _OPTION):
        text = pattern.sub(rf"\g<1>{hidden}", text)
    return text


def _hidden(text: str) -> str:
    text = _PRIVATE.sub(HIDDEN, text)
    text = _USERINFO.sub(HIDDEN + "@", text)
    text = _BARE_USERINFO.sub(HIDDEN + "@", without_named(text))
    text = _TOKENS.sub(HIDDEN, text)
    text = _MAIL.sub(HIDDEN, text)
    text = _LONG.sub(HIDDEN, text)
    text = _without_ibans(text)
    return _CARD.sub(_card, text)


def _without_ibans(text: str) -> str:
    """Hides account numbers whose check digits are right (ISO 13616, ISO/IEC 7064 mod 97-10). What
    looks like further groups may be the next words, and what stands before one may look like it."""
    parts, done, found = [], 0, _IBAN.search(text)
    while found is not None:
        end = found.start() + _iban(found[0])
        if end > found.start():
            parts += [text[done : found.start()], HIDDEN]
            done = end
        found = _IBAN.search(text, max(end, found.start() + 4))
    return "".join([*parts, text[done:]])


def _iban(text: str) -> int:
    """How many characters of what looks like groups of an account number are one; 0 when none."""
    ends = [len(text), *(at for at in range(len(text) - 1, 0, -1) if text[at] in " -")]
    for end in ends:
        number = text[:end].replace(" ", "").replace("-", "")
        if len(number) >= _IBAN_LEAST and _checks(number):
            return end
    return 0


def _checks(number: str) -> bool:
    return int("".join(str(int(each, 36)) for each in number[4:] + number[:4])) % 97 == 1


def _card(found: re.Match[str]) -> str:
    """Hides a number whose last digit checks (ISO/IEC 7812-1, Luhn)."""
    digits = [int(each) for each in found[0] if each.isdigit()][::-1]
    doubled = sum(sum(divmod(2 * each, 10)) for each in digits[1::2])
    return HIDDEN if not (sum(digits[::2]) + doubled) % 10 else found[0]
