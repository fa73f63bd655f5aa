"""Findings that somebody knows: they are left alone until a day, and tell nobody meanwhile."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo

import msgspec

from mailwright.core.errors import InvalidInput, NotFound
from mailwright.core.instants import Instant, from_datetime, to_datetime
from mailwright.core.ports import MetaRecords, Records

MOST_DAYS = 366
_META = "finding.known:"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Until when a finding is left alone, and who said so."""

    until: Instant
    by: str


def known(meta: MetaRecords, key: str, now: Instant) -> Known | None:
    """Whether a finding, by its key, is left alone now."""
    told = meta.get(_META + key)
    found = msgspec.json.decode(told, type=Known) if told else None
    return found if found is not None and found.until > now else None


def leave_alone(records: Records, key: str, day: date, zone: tzinfo, by: str, now: Instant) -> Instant:
    """Leave a finding alone to the end of a day in a zone, also if it goes and comes again; a day past ends that.

    Returns:
        Until when.

    Raises:
        NotFound: ``quality.finding``, if there never was one of that key.
        InvalidInput: ``quality.until``, if the day ends more than `MOST_DAYS` after today begins.
    """
    if not records.findings.exists(key):
        raise NotFound("quality.finding", f"there is no finding {key!r}", "take one of `GET /v1/quality`")
    if (day - to_datetime(now).astimezone(zone).date()).days >= MOST_DAYS:
        raise InvalidInput.one("quality.until", f"a finding is left alone for at most {MOST_DAYS} days", path="until")
    until = from_datetime(datetime.combine(day + timedelta(days=1), time(), zone))
    records.meta.put(_META + key, msgspec.json.encode(Known(until=until, by=by)).decode())
    return until
