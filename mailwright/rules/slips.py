"""Syntax errors in plain words: where the text stops making sense, what could stand there, and the usual slip."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lark import Token
from lark.exceptions import UnexpectedInput, UnexpectedToken

from mailwright.core.errors import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A syntax error: what to print, and the stretch of text it is about."""

    message: str
    hint: str
    span: Span


def explain(error: UnexpectedInput, text: str) -> Found:
    """What is wrong at the place where the parser stopped."""
    at = _place(error, text)
    word = _word(text, at)
    if isinstance(error, UnexpectedToken) and error.token.type in ("_AND_RULE", "_OR_RULE"):
        return _person_in_filter(text, at)
    message = f"{word!r} cannot stand here" if word else "the rule ends too early"
    wanted = expected(_accepted(error))
    if wanted:
        message += f"; expected {wanted}"
    return Found(message=message, hint=_hint(text, at), span=span_at(text, at, max(1, len(word))))


def _person_in_filter(text: str, at: int) -> Found:
    """What follows `and` or `or` inside a filter's brackets cannot be asked of an event."""
    match = _NEXT.match(text, at)
    at = match.end() if match else at
    word = _word(text, at)
    return Found(
        message=f"{word!r} cannot stand inside a filter, which asks of one event alone",
        hint="close the filter's bracket before the next condition: where (price > 50) and ...",
        span=span_at(text, at, max(1, len(word))),
    )


def span_at(text: str, at: int, length: int) -> Span:
    """The span of `length` characters from index `at`."""
    line = text.count("\n", 0, at) + 1
    return Span(line=line, column=at - (text.rfind("\n", 0, at) + 1) + 1, length=length)


def expected(accepted: Collection[str]) -> str:
    """What the parser would take, as words; single tokens are gathered into the phrases people know."""
    phrases = [phrase for phrase, tokens in _PHRASES.items() if tokens & set(accepted)]
    if "a condition" in phrases:
        phrases = ["a condition such as did 'Order Completed' or trait country = 'US'"]
    if len(phrases) > 1:
        return ", ".join(phrases[:-1]) + " or " + phrases[-1]
    return phrases[0] if phrases else ""


# A phrase stands for any of its tokens; the order is that in which they are named.
_PHRASES: Mapping[str, frozenset[str]] = {
    "a condition": frozenset({"DID"}),
    "a property of the event": frozenset({"_ANY_OF"}),
    "a value": frozenset({"_TRUE"}),
    "a name": frozenset({"QUOTED_NAME"}),
    "an event name in single quotes": frozenset({"_ANY_PAGE"}),
    "a text in single quotes": frozenset({"STRING"}),
    "a number": frozenset({"NUMBER"}),
    "a unit such as days": frozenset({"UNIT"}),
    "a date such as 2026-01-31": frozenset({"DATE"}),
    "a month such as 2026-01": frozenset({"MONTH"}),
    "a comparison (=, !=, <, contains, is known, ...)": frozenset({"COMPARATOR"}),
    "a calculation (+, -, *, /)": frozenset({"TIMES_OVER"}),
    "'<'": frozenset({"LESS"}),
    "'%'": frozenset({"_PERCENT"}),
    "a filter (where ...)": frozenset({"_WHERE"}),
    "a number of times (at least 3 times)": frozenset({"_AT_LEAST"}),
    "'times'": frozenset({"_TIMES"}),
    "a window (within 14 days, today, between two dates)": frozenset({"_ON", "_WITHIN"}),
    "'then'": frozenset({"_THEN"}),
    "'within'": frozenset({"_IS_WITHIN"}),
    "'next' or 'last'": frozenset({"DIRECTION"}),
    "'for'": frozenset({"_FOR"}),
    "'by'": frozenset({"_BY"}),
    "'half-life'": frozenset({"_HALF_LIFE"}),
    "'against'": frozenset({"_AGAINST"}),
    "'over last'": frozenset({"_OVER_LAST"}),
    "'distinct of'": frozenset({"_DISTINCT_OF"}),
    "'when'": frozenset({"_WHEN"}),
    "'else'": frozenset({"_ELSE"}),
    "'end'": frozenset({"_END"}),
    "'same' or 'completed'": frozenset({"_SAME"}),
    "'and' or 'or'": frozenset({"_AND", "_OR"}),
    "'('": frozenset({"LPAR"}),
    "')'": frozenset({"RPAR"}),
    "'{'": frozenset({"LBRACE"}),
    "'}'": frozenset({"RBRACE"}),
    "','": frozenset({"COMMA"}),
    "':'": frozenset({"COLON"}),
    "'.'": frozenset({"DOT"}),
    "the end": frozenset({"$END"}),
}
# "a value" and the like already say these.
_SAID_BY_VALUE = frozenset({"QUOTED_NAME", "STRING", "NUMBER", "DATE", "LPAR"})


def _accepted(error: UnexpectedInput) -> frozenset[str]:
    accepted = getattr(error, "accepts", None)
    if not isinstance(accepted, set | frozenset):
        accepted = getattr(error, "expected", None) or getattr(error, "allowed", None) or set()
    names = frozenset(str(name) for name in accepted)
    if names & {"_TRUE", "DID"}:
        names -= _SAID_BY_VALUE
    if "_ANY_OF" in names:
        names -= {"_TRUE"}
    if "_ANY_PAGE" in names:
        names -= {"STRING"}
    return names


def _place(error: UnexpectedInput, text: str) -> int:
    """The index of the fault; at the end of the text, that of its last word's end."""
    if isinstance(error, UnexpectedToken) and isinstance(error.token, Token) and error.token.type == "$END":
        return len(text.rstrip())
    return error.pos_in_stream if error.pos_in_stream is not None else len(text.rstrip())


_NEXT = re.compile(r"\w+(\s|#[^\n]*\n|\(|not\b)*", re.IGNORECASE)
_WORD = re.compile(r"\d[\w:.-]*\w|\w+|'[^'\n]*'?|\"[^\"\n]*\"?|[=<>!&|]+|\S")


def _word(text: str, at: int) -> str:
    match = _WORD.match(text, at)
    return match[0] if match else ""


# What is tried at the fault, in this order: (what stands before it, what stands at it, the hint).
_SLIPS: tuple[tuple[str, str, str], ...] = (
    ("", '"', "texts and event names stand in single quotes: 'Order Completed'"),
    ("", "[‘’“”`´]", "use the straight quote ': 'Order Completed'"),
    (
        r"\b(opened|clicked|received)\s+$",
        "'",
        "say what: opened campaign 'spring', opened journey 'welcome', opened any mail",
    ),
    ("", "'", "a quoted text is not closed here, or a word is missing before it; write '' for a quote inside a text"),
    ("=$", "=", "equality is a single ="),
    ("=$", ">", "write >="),
    ("<$", ">", "not equal is !="),
    ("", "==", "equality is a single ="),
    ("", "<>", "not equal is !="),
    ("", "=<|=>", "write <= or >="),
    ("", "&", "write and"),
    ("", r"\|", "write or"),
    ("", "!", "write not in front of the condition, or != between values"),
    ("", r"is\s+(not\s+)?(null|none|empty)\b", "write `is missing` or `is known`"),
    (r"(=|<>|is|is\s+not)\s*$", r"(null|none)\b", "write `is missing` or `is known`"),
    ("", r"(is\s+)?(more|greater|higher|bigger)\s+than\b|over\b|above\b|exceeds\b", "write >"),
    ("", r"(is\s+)?(less|lower|fewer|smaller)\s+than\b|under\b|below\b", "write <"),
    ("", r"is\s+not\b", "write !=, or `not` in front: not trait country = 'US'"),
    ("", r"is\b", "write =, or one of: is known, is missing"),
    ("", r"not\s+in\b", "write `not` in front: not trait country in ('US', 'CA'); people without a value are then in"),
    ("", r"(not\s+contains|does\s+not|doesn't|not\s+between|not\b)", "write `not` in front of the whole comparison"),
    ("", r"like\b", "write contains, starts with, ends with, or matches with a regular expression"),
    ("", r"(equals|equal\s+to)\b", "write ="),
    ("", r"after\b|since\b", "compare with >, or give both days: between 2026-01-01 and 2026-06-30"),
    ("", r"before\b|until\b", "compare with <, or give both days: between 2026-01-01 and 2026-06-30"),
    ("", r"(in|over|during|for)\s+(the\s+)?(last|past)\b|(last|past)\s+\d", "a window is written `within 14 days`"),
    (r"\d\s*$", r"(months?|quarters?|years?)\b", "months and years differ in length: write days, or `this month`"),
    ("", r"\d+-\d+\b(?!-)", "write spaces around - : 5 - 3"),
    ("", r"-?\d+(ms|s|sec|secs|m|min|mins|h|hr|hrs|d|w)\b", "write the unit out: 30 days, 12 hours, 30 minutes"),
    (r"\d$", r",\d", "write numbers without separators: 1000"),
    ("", r"-?\d+,\d", "write numbers without separators: 1000"),
    ("", r"-?\d*\.\d|-?\d+[eE]", "write numbers like 0.5 or 1200"),
    ("", r"\d{4}-\d\d-\d\dT", "an instant needs its offset: 2026-11-22T09:30:00Z"),
    (r"\bdid(\s+not)?\s+$", r"\w", "the event stands in single quotes: did 'Order Completed'"),
    (r"\b(of|first|last|then(\s+no)?)\s+$", r"\w", "the event stands in single quotes: count of 'Order Completed'"),
    (
        r"\w\s*$",
        r"\.",
        "a trait is written `trait address.city`; a property stands after an event: 'Order Completed'.total",
    ),
    (r"at\s+(least|most)\s+\d+\s*$|exactly\s+\d+\s*$", "", "say `times`: at least 3 times"),
    (r"\bwhere\b[^()]*\b(trait|attribute|did)\s+$", "", "a filter asks of the event alone, as in where (price > 50)"),
    (r"'[^']*'$", r"\w", "a quote inside a text is written twice: 'it''s'"),
    (r"\bcase\s+when\b.*", r"(else|end|then)\b", "after `when`, put a sequence (did 'A' then 'B') in brackets"),
    ("", r"\)", "there is no open bracket that this one closes, or a value is missing before it"),
    ("", r"$", "the rule is not finished"),
)


def _hint(text: str, at: int) -> str:
    for before, here, hint in _SLIPS:
        if re.compile(here, re.IGNORECASE).match(text, at) and re.search(before, text[:at], re.IGNORECASE | re.DOTALL):
            return hint
    return ""
