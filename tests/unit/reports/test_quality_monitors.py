"""Seeded faults are all found and named; a clean month stays quiet."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from quality_shop import START, Change, Row, as_it_is, morning_of, shop_rows, stored

from mailwright.core.findings import Finding
from mailwright.core.instants import HOUR, Instant, parse_iso
from mailwright.core.ports import HistoryQueries
from mailwright.core.sources import DayCount
from mailwright.reports.quality.definitions import Ignored, QualityDefinition, Reconciliation
from mailwright.reports.quality.monitors import look
from mailwright.reports.quality.past import Past, Season
from mailwright.reports.quality.reconciliation import reconcile
from mailwright.reports.quality.robust import against_season

UTC = ZoneInfo("UTC")
BAD = 69  # the day of the fault: a Sunday, ten weeks after the first
WATCHED = QualityDefinition()


def past(history: HistoryQueries, day: int = BAD + 1) -> Past:
    return Past(history, Season.before(morning_of(day), WATCHED.season_days, UTC))


def found(folder: Path, change: Change, definition: QualityDefinition = WATCHED) -> list[Finding]:
    return look(past(stored(folder, shop_rows(BAD + 1, 7, change=change))), definition)


def on_the_day(name: str, times: int | float) -> Change:
    """So many events of a name as usual, on the bad day."""

    def change(day: int, row: Row) -> list[Row]:
        if day != BAD or row["name"] != name:
            return [row]
        return [row] * int(times) if times >= 1 else [row] if int(row["at"].timestamp()) % 100 < 100 * times else []

    return change


def field_of(name: str, field: str, value: object, share: float = 1.0) -> Change:
    """A field of events of a name on the bad day; a function makes it of the old value."""

    def change(day: int, row: Row) -> list[Row]:
        if day == BAD and row["name"] == name and int(row["at"].timestamp()) % 1000 < 1000 * share:
            new = value(row["fields"][field]) if callable(value) else value
            row = {**row, "fields": {**row["fields"], field: new}}
        return [row]

    return change


def one_of(name: str, field: str, value: object) -> Change:
    done: list[int] = []

    def change(day: int, row: Row) -> list[Row]:
        if day == BAD and row["name"] == name and not done:
            done.append(day)
            row = {**row, "fields": {**row["fields"], field: value}}
        return [row]

    return change


def silent_from(day_of_silence: int) -> Change:
    return lambda day, row: [] if day >= day_of_silence else [row]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (on_the_day("Product Viewed", 0.3), {("volume", "Product Viewed from site")}),
        (
            on_the_day("Product Viewed", 0),
            {("volume", "Product Viewed from site"), ("freshness", "Product Viewed from site")},
        ),
        (silent_from(BAD - 1), {("freshness", "site"), ("volume", "Product Viewed from site")}),
        (field_of("Order Completed", "currency", None, 0.4), {("missing", "currency of Order Completed")}),
        (field_of("Product Viewed", "product_id", "", 0.3), {("missing", "product_id of Product Viewed")}),
        (field_of("Product Viewed", "country", "de", 0.3), {("new values", "country of Product Viewed")}),
        (one_of("Order Completed", "total", 1_234_567.0), {("outliers", "total of Order Completed")}),
        (one_of("Order Completed", "total", -5), {("outliers", "total of Order Completed")}),
        (
            field_of("Order Completed", "total", lambda total: round(total * 100)),
            {("outliers", "total of Order Completed")},
        ),
    ],
    ids=["fewer", "none", "silent", "missing", "empty", "new value", "one huge", "one negative", "cents for euros"],
)
def test_a_fault_is_found_and_nothing_else(tmp_path: Path, change: Change, expected: set[tuple[str, str]]) -> None:
    told = found(tmp_path, change)
    names = {(one.monitor, one.subject) for one in told}
    assert names >= expected
    # A source that fell silent has no orders either; a smaller day brings no other news.
    assert {monitor for monitor, _ in names} == {monitor for monitor, _ in expected}
    assert all(one.example and one.suggestion for one in told)


def test_an_outlier_comes_with_bounds_that_would_have_stopped_it_at_the_door(tmp_path: Path) -> None:
    [one] = found(tmp_path, one_of("Order Completed", "total", 1_234_567.0))
    low, high = one.figures["bounds"]
    totals = [row["fields"]["total"] for row in shop_rows(BAD, 7) if row["name"] == "Order Completed"]
    assert 0 < low < min(totals)
    assert max(totals) < high < 1_234_567
    assert f"minimum: {low:.4g} and maximum: {high:.4g}" in one.suggestion


def test_more_events_of_other_content_are_a_surge_and_the_same_content_again_is_repetition(tmp_path: Path) -> None:
    def more(day: int, row: Row) -> list[Row]:
        again = [{**row, "who": f"robot{n}"} for n in range(3)]
        return [row, *again] if day == BAD and row["name"] == "Product Viewed" else [row]

    assert [(one.monitor, one.severity) for one in found(tmp_path / "more", more)] == [("volume", "warning")]
    twice = found(tmp_path / "twice", on_the_day("Product Viewed", 2))
    assert {one.monitor for one in twice} == {"volume", "duplicates"}


def test_orders_that_come_twice_under_other_message_ids_are_found_by_their_key(tmp_path: Path) -> None:
    def change(day: int, row: Row) -> list[Row]:
        doubled = day == BAD and row["name"] == "Order Completed" and int(row["at"].timestamp()) % 100 < 25
        return [row, {**row, "who": "u1"}] if doubled else [row]

    [one] = [one for one in found(tmp_path, change) if one.monitor == "duplicates"]
    assert one.subject == "Order Completed by order_id"
    assert one.severity == "serious"


def test_a_clean_month_has_at_most_one_false_alarm(tmp_path: Path) -> None:
    history = stored(tmp_path, shop_rows(87, 3, per_day=140, change=as_it_is))
    with history.session() as asked:
        alarms = [one.message for day in range(57, 87) for one in look(past(asked, day), WATCHED)]
    assert len(alarms) <= 1, alarms


def test_without_two_weeks_of_past_nothing_is_judged(tmp_path: Path) -> None:
    history = stored(tmp_path, shop_rows(13, 1, change=on_the_day("Product Viewed", 0)))
    assert look(past(history, 13), WATCHED) == []
    assert look(past(stored(tmp_path / "empty", []), 13), WATCHED) == []


def test_what_is_ignored_is_not_told_of(tmp_path: Path) -> None:
    quiet = QualityDefinition(ignore=(Ignored(monitor="missing", field="currency"),))
    assert found(tmp_path, field_of("Order Completed", "currency", None), quiet) == []


def test_a_declared_freshness_counts_from_the_first_event_on(tmp_path: Path) -> None:
    history = stored(tmp_path, shop_rows(10, 1, change=silent_from(9)))
    watched = QualityDefinition(freshness={"Order Completed": "20 hours"})
    assert [one.subject for one in look(past(history, 10), watched)] == ["Order Completed from site"]
    patient = QualityDefinition(freshness={"Order Completed": "3 days"})
    assert look(past(history, 10), patient) == []


def test_a_rare_event_of_a_regular_source_is_no_silence(tmp_path: Path) -> None:
    rows = [
        {**row, "name": "Catalog Asked", "fields": {}} if number in (200, 201) else row
        for number, row in enumerate(shop_rows(BAD + 1, 7))
    ]
    evening = Season.before(Instant(morning_of(BAD) + 22 * HOUR), WATCHED.season_days, UTC)
    told = look(Past(stored(tmp_path, rows), evening), WATCHED)
    assert [one.subject for one in told if one.monitor == "freshness"] == []


def test_days_are_compared_with_another_system(tmp_path: Path) -> None:
    rows = shop_rows(20, 5)
    history = stored(tmp_path, rows)
    asked = Reconciliation(event="Order Completed", value="total", file="orders.csv", days=7, tolerance=0.01)
    truth: dict[str, tuple[float, float | None]] = {}
    for row in rows:
        if row["name"] == "Order Completed":
            count, total = truth.get(f"{row['at']:%Y-%m-%d}", (0.0, 0.0))
            truth[f"{row['at']:%Y-%m-%d}"] = (count + 1, (total or 0) + row["fields"]["total"])
    days = past(history, 20)
    assert reconcile(days, "shop", asked, truth) == []

    last = max(truth)
    count, total = truth[last]
    for other in ((count + 5, total), (count, (total or 0) * 1.02)):
        [one] = reconcile(days, "shop", asked, {**truth, last: other})
        assert (one.subject, one.example) == ("shop", last)
        assert "1 of 7 days" in one.message
    assert reconcile(days, "shop", asked, {**truth, last: (count, (total or 0) * 1.005)}) == [], "within the tolerance"
    assert reconcile(days, "shop", asked, {**truth, last: (count, None)}) == [], "a sum that they do not tell"
    without = {day: told for day, told in truth.items() if day != last}
    [lost] = reconcile(days, "shop", msgspec.structs.replace(asked, unlisted="zero"), without)
    assert lost.example == last, "a day that the other side lacks"
    notes: list[str] = []
    assert reconcile(days, "shop", asked, without, note=notes.append) == []
    assert notes == ["1 day is not in shop"]


def test_days_that_the_other_system_does_not_list_are_no_difference(tmp_path: Path) -> None:
    rows = shop_rows(20, 5)
    days = past(stored(tmp_path, rows), 20)
    counts = Counter(f"{row['at']:%Y-%m-%d}" for row in rows if row["name"] == "Order Completed")
    theirs: dict[str, tuple[float, float | None]] = {day: (counts[day], None) for day in sorted(counts)[-2:]}
    asked = Reconciliation(event="Order Completed", file="orders.csv")
    notes: list[str] = []
    assert reconcile(days, "books", asked, theirs, note=notes.append) == []
    assert notes == ["12 days are not in books"]
    [one] = reconcile(days, "books", asked, {**theirs, max(counts): (1000, None)})
    assert one.message.startswith("1 of 2 days of Order Completed of all sources differ")
    assert one.message.endswith("1,000 there; 12 days are not in books")
    for empty in ({}, {"2020-01-01": (1.0, None)}):
        [nothing] = reconcile(days, "books", asked, empty)
        assert (nothing.severity, nothing.subject) == ("warning", "books")
        assert "lists no day from" in nothing.message, "that nothing was compared must not look as if all were well"
    zero = msgspec.structs.replace(asked, unlisted="zero")
    assert "12 of 14 days" in reconcile(days, "books", zero, theirs)[0].message


def test_the_worst_three_days_are_named(tmp_path: Path) -> None:
    rows = shop_rows(20, 5)
    days = past(stored(tmp_path, rows), 20)
    counts = Counter(f"{row['at']:%Y-%m-%d}" for row in rows if row["name"] == "Order Completed")
    named = sorted(counts)[-8:]
    times = dict(zip(named, (1, 2, 9, 1.5, 1, 4, 1, 1.2), strict=True))
    theirs: dict[str, tuple[float, float | None]] = {day: (counts[day] * times[day], None) for day in named}
    [one] = reconcile(days, "books", Reconciliation(event="Order Completed", file="x.csv", days=8), theirs)
    assert "5 of 8 days" in one.message
    assert re.findall(r"on (\S+) ", one.message) == [named[2], named[5], named[1]]
    assert one.example == named[2]


def test_days_up_to_the_first_event_are_not_judged(tmp_path: Path) -> None:
    rows = [row for row in shop_rows(20, 5) if (row["at"] - START).days >= 17]
    history = stored(tmp_path, rows)
    theirs: dict[str, tuple[float, float | None]] = {f"2026-08-{day:02}": (400.0, None) for day in range(3, 23)}
    asked = Reconciliation(event="Order Completed", source="site", file="orders.csv", days=14)
    [one] = reconcile(past(history, 20), "shop", asked, theirs)
    assert "2 of 2 days of Order Completed of site differ" in one.message
    assert reconcile(past(history, 18), "shop", asked, theirs) == [], "the first day was not whole here"
    [never] = reconcile(past(history, 20), "shop", replace_source(asked, "till"), theirs)
    assert "2 of 2 days of Order Completed of till differ" in never.message, "counted from the first event of any kind"
    assert reconcile(past(stored(tmp_path / "empty", []), 20), "shop", asked, theirs) == []


def replace_source(asked: Reconciliation, source: str) -> Reconciliation:
    return msgspec.structs.replace(asked, source=source)


def test_what_a_source_brought_is_compared_by_kind(tmp_path: Path) -> None:
    days = past(stored(tmp_path, shop_rows(20, 5)), 20)
    asked = Reconciliation(kind="consents", source="crm", file="x.csv", days=3)
    last = days.season.day
    at = last.toordinal() - date(1970, 1, 1).toordinal()
    one = DayCount(day=at, source="crm", kind="consents", accepted=5, refused=2, held=0, dropped=0)
    counted = [one, replace(one, source="shop"), replace(one, kind="items"), replace(one, day=at - 1, accepted=3)]
    theirs: dict[str, tuple[float, float | None]] = {one.date: (5, None), replace(one, day=at - 1).date: (3, None)}
    assert reconcile(days, "crm", asked, theirs, counted) == []
    [found] = reconcile(days, "crm", asked, {**theirs, one.date: (7, None)}, counted)
    assert "consents of crm differ" in found.message


def count_of(date_: str, accepted: int, source: str = "crm") -> DayCount:
    day = (date.fromisoformat(date_) - date(1970, 1, 1)).days
    return DayCount(day=day, source=source, kind="items", accepted=accepted, refused=0, held=0, dropped=0)


BY_KIND = Reconciliation(kind="items", source="crm", file="x.csv", days=7)
THEIRS: dict[str, tuple[float, float | None]] = {f"2026-11-{day:02}": (1000.0, None) for day in range(1, 23)}


@pytest.mark.parametrize(
    ("counted", "n_apart", "n_days"),
    [
        ([count_of("2026-11-01", 900), *(count_of(f"2026-11-{day}", 1000) for day in (20, 21))], 5, 7),
        ([count_of("2026-11-01", 900)], 7, 7),
        ([count_of("2026-11-17", 900, "another")], 4, 4),  # of it nothing ever came, but since then it is counted
        ([], 0, 0),
    ],
)
def test_an_outage_is_told_of_what_is_compared_by_kind(
    tmp_path: Path, counted: list[DayCount], n_apart: int, n_days: int
) -> None:
    season = Season.before(parse_iso("2026-11-22T12:00:00Z"), 56, UTC)
    found = reconcile(Past(stored(tmp_path, []), season), "erp", BY_KIND, THEIRS, counted)
    told = [f"{n_apart} of {n_days} days of items of crm differ"] if n_apart else []
    assert [one.message.partition(" from")[0] for one in found] == told


@pytest.mark.parametrize(
    ("zone", "now", "last"),
    [
        ("Asia/Tokyo", "2026-11-21T16:00:00Z", "2026-11-20"),  # Sunday there already
        ("America/Los_Angeles", "2026-11-22T02:00:00Z", "2026-11-21"),  # Saturday there still
        ("UTC", "2026-11-22T00:00:00Z", "2026-11-21"),
        ("UTC", "2026-11-21T23:59:59Z", "2026-11-20"),
    ],
)
def test_by_kind_the_last_day_that_is_judged_is_over_in_utc(tmp_path: Path, zone: str, now: str, last: str) -> None:
    past = Past(stored(tmp_path, []), Season.before(parse_iso(now), 56, ZoneInfo(zone)))
    counted = [count_of(f"2026-11-{day:02}", 600 if day == int(last[-2:]) + 1 else 1000) for day in range(1, 23)]
    assert reconcile(past, "erp", BY_KIND, THEIRS, counted) == []
    counted = [count_of(f"2026-11-{day:02}", 600 if day == int(last[-2:]) else 1000) for day in range(1, 23)]
    [found] = reconcile(past, "erp", BY_KIND, THEIRS, counted)
    assert found.example == last


def test_the_season_is_that_of_the_week() -> None:
    weeks = np.tile([100.0, 100, 100, 100, 100, 300, 300], 8)
    saturday, monday = weeks[: 6 * 7 + 6], weeks[: 6 * 7 + 1]
    assert against_season(saturday, noise=5, least=1) == (300.0, 0.0)
    assert against_season(monday, noise=5, least=1) == (100.0, 0.0)
    odd = monday.copy()
    odd[[7, 9]] = 10_000  # two odd days in the past spoil nothing
    odd[-1] = 40
    assert against_season(odd, noise=5, least=1).z == -12


def test_a_property_with_odd_characters_is_a_key_and_no_path(tmp_path: Path) -> None:
    def odd(day: int, row: Row) -> list[Row]:
        value = None if day == BAD else "x"
        return [{**row, "fields": {**row["fields"], 'a."b\\c': value}}]

    told = found(tmp_path, odd)
    assert {one.subject for one in told} == {'a."b\\c of Order Completed', 'a."b\\c of Product Viewed'}
    assert all(one.example for one in told)


def test_a_faulty_definition_is_told() -> None:
    for text in (
        b"reconcile: {shop: {event: A}}",
        b"reconcile: {shop: {event: A, url_env: X}}",
        b"audit: {stale_after: soon}",
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.yaml.decode(text, type=QualityDefinition)
    issues = QualityDefinition(freshness={"A": "soon"}, ignore=(Ignored(monitor="volumes"),)).faults()
    assert [at for at, _ in issues] == [("ignore", 0, "monitor"), ("freshness", "A")]
    assert issues[0][1].hint == "did you mean 'volume'?"
