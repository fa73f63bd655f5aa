"""What depends on time zones: worked out in Python per distinct (instant, zone), and bound to the query as a relation.

No engine's own time-zone data is asked, so days that have 23 or 25 hours are the same in every back end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from typing import Any

import msgspec
from sqlglot import exp

from mailwright.core.instants import Instant
from mailwright.rules import days
from mailwright.rules import syntax as s
from mailwright.rules.sql.paths import Json
from mailwright.rules.sql.trees import E, binary, call, column, every, joined, number, text, true
from mailwright.rules.windows import bounds
from mailwright.rules.zones import zone_of


class Local:
    """Collects the calendar windows and local times that rules ask for; their columns stand in table ``m``."""

    def __init__(self, json: Json) -> None:
        self._json = json
        self._made: dict[str, Callable[[Instant, tzinfo], int]] = {}
        self._windows: dict[s.Window, str] = {}

    def inside(self, window: s.Window | None) -> E:
        """Whether an event's stamp lies in a window; that it is not after t is known already."""
        stamp = column("stamp", "e")
        match window:
            case None:
                return true()
            case s.Within(micros=micros):
                return binary(">", stamp, binary("-", column("at", "m"), number(micros)))
            case _:
                name = self._windows.setdefault(window, f"w{len(self._windows) + 1}")
                self._made[f"{name}_after"] = lambda t, zone: bounds(window, t, zone)[0]
                self._made[f"{name}_upto"] = lambda t, zone: bounds(window, t, zone)[1]
                after, upto = column(f"{name}_after", "m"), column(f"{name}_upto", "m")
                return every([binary(">", stamp, after), binary("<=", stamp, upto)])

    def part(self, part: str) -> E:
        """The local hour or weekday of t."""
        self._made[part] = days.local_hour if part == "hour" else days.local_weekday
        return column(part, "m")

    @property
    def asked(self) -> bool:
        """Whether anything depends on a zone."""
        return bool(self._made)

    def pairs(self) -> exp.Select:
        """The distinct (at, told) of all moments, from the relations ``moments`` and ``zoned``."""
        return (
            exp.select(column("at", "m"), exp.alias_(self._told(), "told"))
            .distinct()
            .from_(exp.alias_(exp.to_table("moments"), "m"))
            .join(exp.alias_(exp.to_table("zoned"), "z"), on=_same_moment(), join_type="left")
        )

    def bound(self, pairs: Iterable[tuple[int, str]], shop: tzinfo) -> dict[str, Any]:
        """Parameters of the relation ``local``; `pairs` as the query `pairs` gave them."""
        rows = list(pairs)
        zones = [zone_of(said, seen, shop).zone for said, seen in (msgspec.json.decode(told) for _, told in rows)]
        made = [
            [make(Instant(at), zone) for (at, _), zone in zip(rows, zones, strict=True)] for make in self._made.values()
        ]
        return {
            "local_at": [at for at, _ in rows],
            "local_told": [told for _, told in rows],
            **{f"local_{name}": values for name, values in zip(self._made, made, strict=True)},
        }

    def relations(self) -> Sequence[tuple[str, exp.Query]]:
        """``local`` from the parameters, and ``placed``: the moments with their local columns."""
        d = self._json.dialect
        columns = {
            "at": d.whole_numbers(exp.Placeholder(this="local_at")),
            "told": d.texts(exp.Placeholder(this="local_told")),
            **{name: d.whole_numbers(exp.Placeholder(this=f"local_{name}")) for name in self._made},
        }
        placed = (
            exp.select(exp.Column(this=exp.Star(), table=exp.to_identifier("m")), *(column(n, "l") for n in self._made))
            .from_(exp.alias_(exp.to_table("moments"), "m"))
            .join(exp.alias_(exp.to_table("zoned"), "z"), on=_same_moment(), join_type="left")
            .join(
                exp.alias_(exp.to_table("local"), "l"),
                on=every(
                    [
                        binary("=", column("at", "l"), column("at", "m")),
                        binary("=", column("told", "l"), self._told()),
                    ]
                ),
            )
        )
        return [("local", d.table_of(columns)), ("placed", placed)]

    def _told(self) -> E:
        """JSON text of a list: what the trait says of the zone, and what the newest context said."""
        said, seen = (
            call("coalesce", self._json.dialect.raw(column(name, "z")), text("null")) for name in ("said", "seen")
        )
        return joined(text("["), said, text(","), seen, text("]"))


def _same_moment() -> E:
    return binary("=", column("moment", "z"), column("moment", "m"))
