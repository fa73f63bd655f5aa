"""Findings that somebody knows: they are left alone until a day, and tell nobody meanwhile."""

from __future__ import annotations

import msgspec

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import DAY, Instant
from mailwright.core.ports import MetaRecords

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


def leave_alone(meta: MetaRecords, key: str, until: Instant, by: str, now: Instant) -> None:
    """Leave a finding alone until an instant, also if it goes and comes again; an instant past ends that.

    Raises:
        InvalidInput: ``quality.until``, if that is more than `MOST_DAYS` ahead.
    """
    if until > now + MOST_DAYS * DAY:
        raise InvalidInput.one("quality.until", f"a finding is left alone for at most {MOST_DAYS} days", path="until")
    meta.put(_META + key, msgspec.json.encode(Known(until=until, by=by)).decode())
