"""Dates and instants in the forms that senders declare; ISO 8601 is always read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from functools import lru_cache
from typing import Any

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant, format_iso, from_datetime, parse_iso, to_datetime
from mailwright.ingest.normalise.faults import Unfit, shape

UNIX, UNIX_MS = "unix", "unix_ms"

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TOKEN = re.compile(r"YYYY|YY|MMM|MM|M|DD|D|HH|H|hh|h|mm|ss|A")
_PATTERNS = {
    "YYYY": r"(?P<year>[0-9]{4})",
    "YY": r"(?P<short>[0-9]{2})",
    "MMM": r"(?P<name>[A-Za-z]{3,9})\.?",
    "MM": r"(?P<month>[0-9]{2})",
    "M": r"(?P<month>[0-9]{1,2})",
    "DD": r"(?P<day>[0-9]{2})",
    "D": r"(?P<day>[0-9]{1,2})",
    "HH": r"(?P<hour>[0-9]{2})",
    "H": r"(?P<hour>[0-9]{1,2})",
    "hh": r"(?P<half>[0-9]{2})",
    "h": r"(?P<half>[0-9]{1,2})",
    "mm": r"(?P<minute>[0-9]{2})",
    "ss": r"(?P<second>[0-9]{2})",
    "A": r"(?P<noon>[AaPp][Mm])",
}
_EXTENDED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOST_CHARS = 64


def format_fault(form: str) -> str:
    """Why a text is no form of dates; empty if it is one."""
    if form in (UNIX, UNIX_MS):
        return ""
    rest = _TOKEN.sub("", form)
    if any(each.isalnum() for each in rest):
        return f"{rest.strip()!r} stands for nothing"
    parts = _TOKEN.findall(form)
    kinds = [_PATTERNS[part].partition("<")[2].partition(">")[0] for part in parts]
    if len(set(kinds)) != len(kinds):
        return "a part stands twice"
    if not ({"year", "short"} & set(kinds) and {"month", "name"} & set(kinds) and "day" in kinds):
        return "year, month and day must be in it"
    if re.match(r"YYYY-DD?-MM?\b", form):
        return "such a date would be taken for an ISO date"
    return ""


@lru_cache(maxsize=256)
def _compiled(form: str) -> re.Pattern[str]:
    pattern, end = "", 0
    for token in _TOKEN.finditer(form):
        pattern += re.escape(form[end : token.start()]) + _PATTERNS[token[0]]
        end = token.end()
    return re.compile(pattern + re.escape(form[end:]))


def _by_form(text: str, form: str) -> datetime | None:
    """The local time that a text of that form names; None if it has another form, or there is no such day."""
    match = _compiled(form).fullmatch(text)
    if match is None:
        return None
    told = match.groupdict()
    month = told.get("month") or _month(told.get("name") or "")
    hour = int(told.get("hour") or told.get("half") or 0)
    if told.get("half"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if (told.get("noon") or "am").lower() == "pm" else 0)
    try:
        return datetime(
            _year(told), int(month or 0), int(told["day"]), hour, int(told.get("minute") or 0),
            int(told.get("second") or 0),
        )  # fmt: skip
    except ValueError:
        return None


def _month(name: str) -> int | None:
    short = name[:3].lower()
    return _MONTHS.index(short) + 1 if short in _MONTHS else None


def _year(told: dict[str, str]) -> int:
    if told.get("year"):
        return int(told["year"])
    short = int(told["short"])
    return short + (1900 if short >= 69 else 2000)


def _read(value: Any, forms: Sequence[str]) -> datetime | None:
    """What a value names: with an offset an instant, without one a local time. ISO 8601 in its long form is first."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _of_epoch(value, forms)
    if not isinstance(value, str) or len(value) > _MOST_CHARS:
        return None
    text = " ".join(value.split())
    if not _EXTENDED.match(text):
        for form in forms:
            if form in (UNIX, UNIX_MS):
                if text.isascii() and text.lstrip("-").isdecimal() and (found := _of_epoch(int(text), [form])):
                    return found
            elif found := _by_form(text, form):
                return found
    return _iso(text)


def _iso(text: str) -> datetime | None:
    text = re.sub(r"(\.\d{6})\d+", r"\1", text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _of_epoch(value: int | float, forms: Sequence[str]) -> datetime | None:
    scale = 1_000_000 if UNIX in forms else 1_000 if UNIX_MS in forms else 0
    try:
        return to_datetime(Instant(round(value * scale))) if scale else None
    except (OverflowError, ValueError):
        return None


def as_date(value: Any, forms: Sequence[str], zone: tzinfo | None) -> str:
    """``2026-11-22``. A value with an offset is that of the sender's zone, where it is known, else the date as written.

    Raises:
        Unfit: If it names no day.
    """
    found = _read(value, forms)
    if found is None:
        raise Unfit(f"{shape(value)} is no date: {_expected(forms, 'YYYY-MM-DD')}")
    if found.tzinfo is not None and zone is not None:
        try:
            found = found.astimezone(zone)
        except (OverflowError, ValueError):
            raise Unfit("the date is out of range") from None
    return date(found.year, found.month, found.day).isoformat()


def as_instant(value: Any, forms: Sequence[str], zone: tzinfo) -> str:
    """``2026-11-22T09:30:00Z``; a value without an offset is local time in `zone`.

    Raises:
        Unfit: If it names no instant.
    """
    found = _read(value, forms)
    if found is None:
        raise Unfit(f"{shape(value)} is no time: {_expected(forms, '2026-11-22T09:30:00Z')}")
    try:
        if found.tzinfo is None:
            found = found.replace(tzinfo=zone)
        return format_iso(from_datetime(found))
    except (OverflowError, ValueError):
        raise Unfit("the time is out of range") from None


def is_instant(value: str) -> bool:
    """Whether a text is an instant in the form that `as_instant` gives."""
    try:
        return format_iso(parse_iso(value)) == value
    except (InvalidInput, OverflowError):
        return False


def _expected(forms: Sequence[str], iso: str) -> str:
    return "expected is " + ", ".join([*forms, iso])
