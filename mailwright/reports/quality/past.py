"""What the monitors read of History: days, gaps and values, as few rows as will do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from mailwright.core.instants import Instant, from_datetime, to_datetime
from mailwright.core.ports import HistoryQueries

MANY_VALUES = 100
"""A property with more different values than this is text, and no new one of them is news."""

_IMPORTED = "import"
"""Sources that begin so come in bursts: how many came on a day says nothing."""

# What every query begins with: events as they arrived, day by day in the shop's zone. What was imported as history has
# arrived long after it was.
_EVENTS = """
WITH seen AS (
  SELECT source, CASE WHEN name <> '' THEN name ELSE type END AS event, received_at, message_id,
         strftime(timezone($zone, received_at), '%Y-%m-%d') AS day,
         CASE WHEN type IN ('identify', 'group') THEN traits ELSE properties END AS fields,
         identifier_kind || ':' || identifier AS who, stamp_at
  FROM events
  WHERE received_at >= $since AND received_at < $until AND NOT coalesce(history, false)
    AND NOT starts_with(source, $bulk)
)
"""

_COUNTS = "SELECT source, event, day, count(*) AS n FROM seen GROUP BY ALL"

_GAPS = """
, told AS (
  SELECT source, event, received_at FROM seen UNION ALL SELECT source, NULL, received_at FROM seen
), spaced AS (
  SELECT source, event, received_at,
         received_at - lag(received_at) OVER (PARTITION BY source, event ORDER BY received_at) AS gap
  FROM told
)
SELECT source, event, count(*) AS n, min(received_at) AS first, max(received_at) AS last,
       coalesce(epoch_us(TIMESTAMP '1970-01-01' + max(gap)), 0) AS longest
FROM spaced GROUP BY ALL
"""

_FILLED = """
SELECT event, key AS field, day, count(*) AS n
FROM seen, json_each(fields) AS one
WHERE one.type <> 'NULL' AND one.value <> '""'
GROUP BY ALL
"""

_VALUES = """
, grouped AS (
  SELECT event, key AS field, one.value AS told, min(day) AS first, count(*) FILTER (day = $day) AS today,
         count(*) AS n, any_value(message_id) FILTER (day = $day) AS example
  FROM seen, json_each(fields) AS one
  WHERE one.type = 'VARCHAR'
  GROUP BY event, key, one.value
)
SELECT * FROM grouped QUALIFY count(*) OVER (PARTITION BY event, field) <= $many
"""

_NUMBERS = """
, numbers AS (
  SELECT event, key AS field, day, message_id, TRY_CAST(one.value AS DOUBLE) AS x
  FROM seen, json_each(fields) AS one
  WHERE one.type IN ('UBIGINT', 'BIGINT', 'DOUBLE')
), usual AS (
  SELECT event, field, count(*) AS n, count(DISTINCT day) AS days, count(*) FILTER (x <= 0) AS not_positive,
         median(x) AS middle, mad(x) AS spread,
         median(ln(x)) FILTER (x > 0) AS log_middle, mad(ln(x)) FILTER (x > 0) AS log_spread
  FROM numbers WHERE day < $day GROUP BY ALL
), today AS (
  SELECT event, field, count(*) AS n_today, median(x) AS middle_today, max(x) AS largest, min(x) AS smallest,
         arg_max(message_id, x) AS of_largest, arg_min(message_id, x) AS of_smallest
  FROM numbers WHERE day = $day GROUP BY ALL
)
SELECT * FROM usual JOIN today USING (event, field)
"""

_REPEATS = """
SELECT event, day, count(*) AS n,
       count(*) - count(DISTINCT who || '|' || epoch_ms(stamp_at) // 1000 || '|' || coalesce(fields, '')) AS repeats,
       any_value(message_id) AS example
FROM seen GROUP BY ALL
"""

_DOUBLED = """
, keyed AS (SELECT day, message_id, json_extract_string(fields, $path) AS found FROM seen WHERE event = $event),
times AS (SELECT found, min(day) AS first, max(day) AS last, count(*) AS n, max(message_id) AS example
          FROM keyed WHERE found IS NOT NULL GROUP BY ALL)
SELECT last AS day, count(*) AS n, count(*) FILTER (n > 1) AS doubled, any_value(found) FILTER (n > 1) AS example
FROM times GROUP BY ALL
"""

_LACKING = """
SELECT message_id FROM seen
WHERE event = $event AND day = $day AND coalesce(json_extract_string(fields, $path), '') = '' LIMIT 1
"""

_PER_DAY = """
SELECT strftime(timezone($zone, stamp_at), '%Y-%m-%d') AS day, count(*) AS n,
       sum(TRY_CAST(json_extract_string(properties, $path) AS DOUBLE)) AS total
FROM events
WHERE type = 'track' AND name = $event AND stamp_at >= $since AND stamp_at < $until
  AND ($source = '' OR source = $source)
GROUP BY ALL
"""

_FIRST = """
SELECT strftime(timezone($zone, coalesce(
         min(stamp_at) FILTER (type = 'track' AND name = $event AND ($source = '' OR source = $source)),
         min(received_at)
       )), '%Y-%m-%d') AS day
FROM events
"""


@dataclass(frozen=True, slots=True)
class Season:
    """The days that monitors look at: complete ones of the shop, the newest being the one that is judged.

    Attributes:
        first: The oldest day.
        day: The day that is judged: the last complete one.
        now: When the monitors look.
    """

    first: date
    day: date
    now: Instant
    zone: ZoneInfo

    @classmethod
    def before(cls, now: Instant, n_days: int, zone: ZoneInfo) -> Season:
        """The `n_days` complete days before `now`."""
        today = to_datetime(now).astimezone(zone).date()
        return cls(today - timedelta(days=n_days), today - timedelta(days=1), now, zone)

    @property
    def n_days(self) -> int:
        """How many days, the judged one included."""
        return (self.day - self.first).days + 1

    def place(self, day: str) -> int:
        """Where a day (ISO) stands among them."""
        return (date.fromisoformat(day) - self.first).days

    def starts(self, day: date) -> datetime:
        """The instant at which a day begins."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone)


class Past:
    """History as the monitors ask for it."""

    def __init__(self, history: HistoryQueries, season: Season) -> None:
        self._history = history
        self.season = season

    def _rows(self, sql: str, *, whole_day: bool = True, **more: Any) -> list[dict[str, Any]]:
        """`whole_day`: up to the end of the judged day; else up to now."""
        season = self.season
        until = season.starts(season.day + timedelta(days=1)) if whole_day else to_datetime(season.now)
        told = {"zone": season.zone.key, "since": season.starts(season.first), "until": until, "bulk": _IMPORTED}
        rows: list[dict[str, Any]] = self._history.query("".join((_EVENTS, sql)), {**told, **more}).to_pylist()
        return rows

    def _by_day(self, sql: str, first: str, second: str) -> dict[tuple[str, str], NDArray[np.float64]]:
        """``n`` of each day, by two columns."""
        found: dict[tuple[str, str], NDArray[np.float64]] = {}
        for row in self._rows(sql):
            key = (row[first], row[second])
            found.setdefault(key, np.zeros(self.season.n_days))[self.season.place(row["day"])] += row["n"]
        return found

    def counts(self) -> dict[tuple[str, str], NDArray[np.float64]]:
        """(source, event) -> how many came each day, none being 0."""
        return self._by_day(_COUNTS, "source", "event")

    def gaps(self) -> list[dict[str, Any]]:
        """How many, the first and last, and the longest quiet time in between (us), of each source and event.

        A row whose event is None is of all events of the source.
        """
        rows = self._rows(_GAPS, whole_day=False)
        for row in rows:
            row["first"], row["last"] = from_datetime(row["first"]), from_datetime(row["last"])
        return rows

    def filled(self) -> dict[tuple[str, str], NDArray[np.float64]]:
        """(event, field) -> how many events of each day had it."""
        return self._by_day(_FILLED, "event", "field")

    def lacking(self, event: str, field: str) -> str:
        """The message id of an event of the judged day without the field."""
        rows = self._rows(_LACKING, event=event, day=self.season.day.isoformat(), path=json_path(field))
        return rows[0]["message_id"] if rows else ""

    def values(self) -> list[dict[str, Any]]:
        """Values of fields that have few: first day, count on the judged day and in all."""
        return self._rows(_VALUES, day=self.season.day.isoformat(), many=MANY_VALUES)

    def numbers(self) -> list[dict[str, Any]]:
        """Fields that are numbers: middle and spread before the judged day, and its extremes."""
        return self._rows(_NUMBERS, day=self.season.day.isoformat())

    def repeats(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64], str]]:
        """Event -> events per day, those that repeat another one's content within a second, and an example."""
        found: dict[str, tuple[NDArray[np.float64], NDArray[np.float64], str]] = {}
        for row in self._rows(_REPEATS):
            all_of, repeats, example = found.get(row["event"], (*np.zeros((2, self.season.n_days)), ""))
            place = self.season.place(row["day"])
            all_of[place], repeats[place] = row["n"], row["repeats"]
            found[row["event"]] = (all_of, repeats, row["example"] if place == self.season.n_days - 1 else example)
        return found

    def doubled(self, event: str, field: str) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
        """Different values of a key per day, those of them that came more than once, and an example."""
        all_of, doubled = np.zeros((2, self.season.n_days))
        example = ""
        for row in self._rows(_DOUBLED, event=event, path=json_path(field)):
            place = self.season.place(row["day"])
            all_of[place], doubled[place] = row["n"], row["doubled"]
            if place == self.season.n_days - 1:
                example = row["example"] or ""
        return all_of, doubled, example

    def first_day(self, event: str, source: str) -> str | None:
        """The day (ISO) of the first event of that name, or of the first of all if none has it; None if there is none.

        An empty `source` stands for any.
        """
        if not self._history.offset("events"):
            return None
        rows = self._history.query(_FIRST, {"zone": self.season.zone.key, "event": event, "source": source})
        found: str | None = rows.to_pylist()[0]["day"]
        return found

    def per_day(self, event: str, value: str, n_days: int, source: str = "") -> Mapping[str, tuple[int, float]]:
        """Day (ISO) -> how many events of that name happened, and the sum of a property; by their own stamps.

        An empty `source` stands for any.
        """
        if not self._history.offset("events"):
            return {}
        season = self.season
        since = season.starts(season.day - timedelta(days=n_days - 1))
        until = season.starts(season.day + timedelta(days=1))
        asked = {"zone": season.zone.key, "since": since, "until": until, "event": event, "source": source}
        asked["path"] = json_path(value) if value else "$"  # the whole is no number
        rows = self._history.query(_PER_DAY, asked).to_pylist()
        return {row["day"]: (row["n"], row["total"] or 0.0) for row in rows}


def json_path(field: str) -> str:
    """The JSON path of one key, whatever characters it has."""
    escaped = field.replace("\\", "\\\\").replace('"', '\\"')
    return f'$."{escaped}"'
