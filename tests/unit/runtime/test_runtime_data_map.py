"""The data map of a project: what a definition names is never proposed for removal, whichever file names it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / "reports")]

from quality_shop import stored  # noqa: E402

from mailwright.core.events import Offset, Person  # noqa: E402
from mailwright.core.instants import DAY, Instant, from_datetime  # noqa: E402
from mailwright.profiles.identity import Belonging  # noqa: E402
from mailwright.reports.data_map import LEAST_PEOPLE, Key, Piece, data_map  # noqa: E402
from mailwright.runtime.engine import history_rows  # noqa: E402
from mailwright.runtime.project.files import read_files  # noqa: E402
from mailwright.runtime.project.load import Project, load_project  # noqa: E402
from mailwright.runtime.quality.uses import OURS, declared, uses  # noqa: E402
from mailwright.stores.history_delta import DeltaHistory  # noqa: E402

START = datetime(2026, 9, 1, tzinfo=UTC)
NOW = Instant(from_datetime(START) + 56 * DAY)

Told = dict[str, Any]


def row(name: str, fields: Told, who: str = "u1", day: int = 40, source: str = "demo", kind: str = "track") -> Told:
    at = START + timedelta(days=day)
    return {"source": source, "type": kind, "name": name, "at": at, "who": who, "fields": fields}


def history_of(folder: Path, rows: list[Told]) -> DeltaHistory:
    return stored(folder, [{**one, "number": number} for number, one in enumerate(rows)])


def mapped(project: Project, history: DeltaHistory) -> dict[Key, Piece]:
    used = uses(project)
    named = {*declared(project), *used.named}
    pieces = data_map(history, project.data_map, used.of, named, NOW)
    return {(piece.kind, piece.name): piece for piece in pieces}


def demo() -> Project:
    folder = Path(str(files("mailwright.runtime.demo").joinpath("project")))
    return load_project(read_files(folder, name="demo", time_zone="UTC", data_folder="data"))


ORDER = {"order_id": "1", "total": 3, "currency": "USD", "products": [{"product_id": "p"}], "till": 7}
OWN_EVENTS = ("Email Sent", "Email Opened", "Email Link Clicked", "Unsubscribed", "Form Submitted", "Survey Answered")


def test_of_the_demo_only_what_truly_nothing_uses_is_proposed_for_removal(tmp_path: Path) -> None:
    rows = [
        row("Order Completed", ORDER),
        row("Campaign Received", {"campaign_id": "3"}),
        *(row(name, {"message_id": "m", "origin": "x"}, source="mailwright") for name in OWN_EVENTS),
    ]
    found = mapped(demo(), history_of(tmp_path, rows))
    unused = {key for key, piece in found.items() if piece.unused and piece.last_at is not None}
    assert unused == {
        ("event", "Campaign Received"),
        ("property", "Campaign Received.campaign_id"),
        ("property", "Order Completed.till"),
    }
    assert OURS in found["event", "Email Sent"].used_by
    assert "quality keys" in found["property", "Order Completed.order_id"].used_by
    assert "mail of campaign weekly_offers" in found["trait", "email"].used_by
    assert ("trait", "anonymous_id") not in found, "an identifier that no trait brought is no piece"


def test_the_time_zone_is_used_whatever_the_project_asks(tmp_path: Path) -> None:
    told = row("", {}, kind="identify") | {"traits": {"timezone": "Europe/Berlin", "time": "noon"}}
    found = mapped(load_project({}), history_of(tmp_path, [told]))
    assert found["trait", "timezone"].used_by == (OURS,)
    assert not found["trait", "time"].used_by


def test_what_is_sealed_is_text(tmp_path: Path) -> None:
    sealed = {"sealed": "AQE=", "hash": "0" * 32}
    rows = [
        row("Order Completed", {"email": sealed, "note": "x", "card": {"sealed": True}, "address": {"street": sealed}}),
        row("", {}, kind="identify") | {"traits": {"email": sealed, "size": {"eu": 42}}},
    ]
    found = mapped(load_project({}), history_of(tmp_path, rows))
    types = {name: piece.types for (_, name), piece in found.items() if piece.types}
    assert types == {
        "Order Completed.email": ("text",),
        "Order Completed.note": ("text",),
        "Order Completed.card": ("object",),
        "Order Completed.address": ("object",),
        "email": ("text",),
        "size": ("object",),
    }


EVERYTHING = {
    "quality.yaml": """\
keys: {Return Sent: return_id}
freshness: {Heartbeat: 2 hours}
reconcile:
  books: {event: Invoice Paid, value: amount, file: books.csv}
audit:
  expected: [email, country]
  fill: {country: geo.country}
  duplicates: {merge_above: 97}
""",
    "profile.yaml": """\
traits:
  crm_no: {index: true}
  income: {normalise: money, currency_from: income_currency}
  income_currency: {}
  nobodys: {}
accounts:
  traits:
    seats: {type: number}
""",
    "identity.yaml": "kinds: {loyalty: {limit: 1}}\n",
    "forms/size.yaml": """\
title: Your size
fields:
  - {trait: email, label: E-mail, type: email, required: true}
  - trait: shoe
    label: Shoe
    type: choice
    options:
      - {value: "42", set: {width: wide}, tag: runner}
double_opt_in: null
""",
    "lookups/firm.yaml": """\
by: email
segment: everybody
url: https://firms.example/?q={email}
values: {industry: $.industry, staff: $.staff}
""",
    "segments.yaml": "everybody:\n  title: Everybody\n  rule: did 'Heartbeat' within 3 days\n",
    "sql_segments/big.yaml": """\
title: Big
sql: >
  SELECT DISTINCT identifier_kind || ':' || identifier AS identifier FROM events
  WHERE name = 'Quote Asked' AND properties->>'volume' > '3' AND json_extract_string(traits, '$.branch') = 'x'
every: 1 hour
""",
    "imports/crm.yaml": """\
title: CRM
as: identify
file: crm.csv
columns: {id: userId, tier: traits.tier}
every: 1 day
""",
    "imports/calls.yaml": """\
title: Calls
as: track
file: calls.csv
event: Call Made
columns: {id: userId, minutes: properties.minutes}
""",
    "webhooks/till.yaml": """\
verify: {kind: hmac, secret_env: TILL, header: X-Signature}
events:
  - {name: Till Rung, user_id: $.who, properties: {till_no: $.till}, traits: {branch_no: $.branch}}
""",
}

USED: dict[Key, str] = {
    ("event", "Return Sent"): "quality keys",
    ("property", "Return Sent.return_id"): "quality keys",
    ("event", "Heartbeat"): "quality freshness",
    ("event", "Invoice Paid"): "reconciliation books",
    ("property", "Invoice Paid.amount"): "reconciliation books",
    ("trait", "email"): "audit expected",
    ("trait", "country"): "audit fill",
    ("trait", "lastName"): "audit duplicates",
    ("trait", "crm_no"): "lookup of people",
    ("trait", "income_currency"): "profile schema",
    ("trait", "loyalty"): "identity",
    ("trait", "phone"): "identity",
    ("trait", "shoe"): "form size",
    ("trait", "width"): "form size",
    ("trait", "preferences"): "form size",
    ("trait", "industry"): "lookup firm",
    ("event", "Quote Asked"): "segment big",
    ("property", "Quote Asked.volume"): "segment big",
    ("trait", "branch"): "segment big",
    ("trait", "tier"): "import crm",
    ("event", "Call Made"): "import calls",
    ("property", "Call Made.minutes"): "import calls",
    ("event", "Till Rung"): "webhook till",
    ("property", "Till Rung.till_no"): "webhook till",
    ("trait", "branch_no"): "webhook till",
    ("event", "Order Completed"): "conversion of the data map",
    ("property", "Order Completed.currency"): "view orders",
}


@pytest.mark.parametrize("key", USED, ids=" ".join)
def test_a_use_in_any_file_is_a_use(key: Key) -> None:
    assert USED[key] in uses(load_project(EVERYTHING)).of(key)


def test_what_only_looks_like_a_use_is_none() -> None:
    used = uses(load_project(EVERYTHING))
    for key in (
        ("trait", "nobodys"),
        ("trait", "volume"),
        ("property", "Heartbeat.volume"),
        ("property", "Product Added.total"),
        ("trait", "Quote Asked"),
        ("account", "seats"),
        ("source", "demo"),
    ):
        assert used.of(key) == set(), key  # type: ignore[arg-type] # kinds as they stand


def test_traits_of_accounts_are_on_the_map(tmp_path: Path) -> None:
    history = history_of(tmp_path, [row("", {}, kind="group")])
    found = mapped(load_project(EVERYTHING), history)
    assert found["account", "seats"].unused


def with_belonging(history: DeltaHistory, people: int) -> None:
    """Everybody is a person of their own."""
    offset = Offset(4096)
    rows = [(offset, Belonging(f"user_id:u{n}", Person(n), offset, None)) for n in range(people)]
    history.append("belonging", history_rows.belonging_table(rows), Offset(9000))


def test_influence_is_told_with_its_interval_of_few_people_and_not_of_too_few(tmp_path: Path) -> None:
    def orders(n: int, day: int) -> list[Told]:
        return [row("Order Completed", {"total": 1}, f"u{who}", day) for who in range(n)]

    visits = [row("Visit", {"rare": 1} if who < LEAST_PEOPLE - 1 else {}, f"u{who}", day=5) for who in range(20)]
    carts = [row("Cart", {"gift": True}, f"u{who}", 6, source="app") for who in range(8)]
    history = history_of(tmp_path, [*visits, *carts, *orders(6, day=40)])
    with_belonging(history, 20)
    found = mapped(Project(), history)
    told = found["event", "Cart"].influence
    assert told is not None
    assert (told.rate, told.without, told.n, told.others) == (6 / 8, 0, 8, 12)
    assert 0 < told.low < 6 / 8 < told.high <= 1
    assert found["property", "Cart.gift"].influence == told
    assert found["source", "app"].influence == told
    assert found["event", "Visit"].influence is None, "everybody has it: there is nobody to compare with"
    assert found["property", "Visit.rare"].influence is None
