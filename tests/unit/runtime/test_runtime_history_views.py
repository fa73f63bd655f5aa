"""The star-shaped views, asked by DuckDB, and opened as files by engines that are not ours."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import deltalake
import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mailwright.core.errors import InvalidInput
from mailwright.core.events import ConsentChanged, Event, Identifier, Offset, Person
from mailwright.core.instants import DAY, HOUR, Instant, parse_iso, to_datetime
from mailwright.core.ports import DefinitionVersion
from mailwright.core.presence import OF_MAILS, is_sign_of_life
from mailwright.profiles.identity import Belonging
from mailwright.profiles.identity_rules import IdentityRules
from mailwright.rules.fold import Change
from mailwright.rules.sql.star import KINDS, TITLES, views
from mailwright.runtime.engine import history_rows as rows
from mailwright.runtime.history_views import export_views, offset_by, star
from mailwright.stores.history_delta import DeltaHistory
from mailwright.stores.records_sql import SqlRecords

T = parse_iso("2026-05-01T10:00:00Z")
ADA, BOB = Person(0), Person(1)


def event(user: str, at: int, kind: str = "track", name: str = "", source: str = "web", **told: Any) -> Event:
    stamp = Instant(T + at)
    return Event(
        message_id=f"{user}-{at}-{name}",
        source=source,
        type=kind,
        name=name,
        stamp_at=stamp,
        received_at=stamp,
        known_at=stamp,
        identifiers=[Identifier("user_id", user)],
        **told,
    )


def mail(user: str, at: int, name: str, **more: Any) -> Event:
    properties = {"message_id": f"mail-{user}", "origin": "campaign:note", "step": "mail", **more}
    return event(user, at, name=name, source="mailwright", properties=properties)


def order(user: str, at: int, order_id: str, total: float, *products: dict[str, Any]) -> Event:
    return event(
        user, at, name="Order Completed", properties={"order_id": order_id, "total": total, "products": products}
    )


EVENTS = [
    event("ada", 0, "identify", traits={"city": "Bath", 'note\'s "x"': 1, "plan": {"name": "gold"}}),
    event("ada", HOUR, "identify", traits={"city": "York", "plan": None}),
    event("ada2", HOUR, "identify", traits={"age": 7}),
    mail("ada", 2 * HOUR, "Email Sent"),
    mail("ada", 3 * HOUR, "Email Opened", machine=True),
    mail("ada", 4 * HOUR, "Email Opened"),
    mail("ada", 5 * HOUR, "Email Link Clicked"),
    mail("bob", 2 * HOUR, "Email Sent"),
    order(
        "ada2",
        6 * HOUR,
        "o1",
        12.5,
        {"product_id": "p1", "price": 2.5, "quantity": 3},
        {"product_id": "p2", "price": 5},
    ),
    order("bob", 7 * HOUR, "o2", 3),
    order("ada", 5 * HOUR + 3 * DAY, "o3", 99.0, {"sku": "s", "name": "It's"}),
]


TOLD = [(Offset(10 * (n + 1)), one.stamp_at, Person(0), one) for n, one in enumerate(EVENTS)]


OWNED = [
    (Offset(10), Belonging("user_id:ada", ADA, Offset(10), None)),
    (Offset(30), Belonging("user_id:ada2", Person(2), Offset(30), None)),
    (Offset(40), Belonging("user_id:ada2", Person(2), Offset(30), Offset(40))),
    (Offset(40), Belonging("user_id:ada2", ADA, Offset(40), None)),
    (Offset(80), Belonging("user_id:bob", BOB, Offset(80), None)),
    (Offset(80), Belonging("email:b0b", BOB, Offset(80), None)),
]
CHANGES = [
    (Offset(20), T, Change(ADA, "new", True, "event")),
    (Offset(50), T, Change(ADA, "new", False, "time")),
    (Offset(50), Instant(T + DAY), Change(ADA, "vip", True, "event")),
]


def consent(offset: int, address: str, purpose: str, granted: bool, at: int) -> tuple[Offset, Instant, ConsentChanged]:
    when = Instant(T + at)
    return Offset(offset), when, ConsentChanged(address, purpose, granted, "form", told_at=when)


def fill(history: DeltaHistory) -> None:
    history.append("belonging", rows.belonging_table(OWNED), Offset(200))
    history.append("transitions", rows.transitions_table(CHANGES), Offset(200))
    for n in range(0, len(TOLD), 3):
        history.append("events", rows.events_table(TOLD[n : n + 3], []), Offset(TOLD[min(n + 2, len(TOLD) - 1)][0]))


@pytest.fixture
def history(tmp_path: Path) -> DeltaHistory:
    made = DeltaHistory(tmp_path / "history", star())
    fill(made)
    return made


PEOPLE = "SELECT person, identifier, identifiers, events, traits, segments FROM people ORDER BY person"
LINES = 'SELECT person, order_id, product_id, price, quantity FROM order_lines ORDER BY "offset", product_id NULLS LAST'
MESSAGES = "SELECT message_id, person, origin, opens, clicks, unsubscribed, revenue FROM messages ORDER BY message_id"
STAR = """
    SELECT p.identifier, count(DISTINCT o.order_id) AS orders, sum(l.price * l.quantity) AS spent
    FROM people AS p JOIN orders AS o ON o.person = p.person LEFT JOIN order_lines AS l ON l.order_id = o.order_id
    GROUP BY p.identifier ORDER BY p.identifier
"""
EXPECTED_LINES = [
    (0, "o1", "p1", 2.5, 3.0),
    (0, "o1", "p2", 5.0, 1.0),
    (0, "o3", None, None, 1.0),
]
EXPECTED_MESSAGES = [
    ("mail-ada", 0, "campaign:note", 1, 1, False, 12.5),
    ("mail-bob", 1, "campaign:note", 0, 0, False, None),
]
EXPECTED_STAR = [("user_id:ada", 2, 12.5), ("user_id:bob", 1, None)]


def tuples(table: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


def check_people(told: list[tuple[Any, ...]]) -> None:
    ada, bob = told
    assert ada[:4] == (0, "user_id:ada", 2, 5)
    traits = json.loads(ada[4])
    assert (traits["city"], traits["age"]) == ("York", "7")
    assert ada[5] == ["vip"]
    assert bob == (1, "user_id:bob", 2, 1, None, None)


def test_the_views_say_who_did_what(history: DeltaHistory) -> None:
    check_people(tuples(history.query(PEOPLE)))
    assert tuples(history.query(LINES)) == EXPECTED_LINES
    assert tuples(history.query(MESSAGES)) == EXPECTED_MESSAGES
    assert tuples(history.query(STAR)) == EXPECTED_STAR
    assert list(views()) == list(TITLES)


def test_consents_are_the_newest_word_by_address_and_purpose(history: DeltaHistory) -> None:
    told = [
        consent(201, "b0b", "news", True, 0),
        consent(202, "b0b", "offers", True, HOUR),
        consent(203, "b0b", "news", False, 2 * HOUR),
        consent(204, "b0b", "news", True, HOUR),  # told late: the newest word stays
        consent(205, "n0body", "news", True, HOUR),
        consent(206, "erased", "news", True, HOUR),
    ]
    history.append("records", rows.records_table(told), Offset(300))
    asked = "SELECT address_hash, person, purpose, state, source FROM consents ORDER BY address_hash, purpose"
    assert tuples(history.query(asked)) == [
        ("b0b", 1, "news", "withdrawn", "form"),
        ("b0b", 1, "offers", "granted", "form"),
        ("n0body", None, "news", "granted", "form"),
    ]
    since = history.query("SELECT since_at FROM consents WHERE purpose = 'offers'").column(0)[0].as_py()
    assert since == to_datetime(Instant(T + HOUR))
    assert tuples(history.query("SELECT person, consents FROM people ORDER BY person")) == [(0, None), (1, ["offers"])]


def test_people_are_seen_by_what_the_engine_sees_them_by(history: DeltaHistory) -> None:
    machine = {"machine": True}
    told = [
        *(
            event("x", 0, "identify", source=one)
            for one in ("lookup:weather", "correction", "audit", "import:crm", "crm")
        ),
        *(event("x", 0, kind, source=one) for kind in ("group", "alias") for one in ("import:crm", "crm")),
        event("x", 0, "screen", name="Home"),
        *(event("x", 0, name=one) for one in (*sorted(OF_MAILS), "Order Completed")),
        *(event("x", 0, name=one, properties=machine) for one in ("Email Opened", "Email Link Clicked", "Page Seen")),
        *(event("x", 0, name=one, source="mailwright") for one in ("Email Opened", "Email Link Clicked", "Email Sent")),
        event("x", 0, "page", name="Email Sent"),
        event("x", 0, name="Order Completed", source="import:orders"),
    ]
    people = [
        (Offset(301 + n), Belonging(f"user_id:x{n}", Person(50 + n), Offset(301 + n), None)) for n in range(len(told))
    ]
    later = [
        msgspec.structs.replace(one, stamp_at=Instant(T + at), identifiers=[Identifier("user_id", f"x{n}")], type=kind)
        for at, changed in ((0, "page"), (HOUR, None))
        for n, one in enumerate(told)
        for kind in [changed or one.type]
    ]
    placed = [(Offset(301 + n), one.stamp_at, Person(0), one) for n, one in enumerate(later)]
    history.append("belonging", rows.belonging_table(people), Offset(400))
    history.append("events", rows.events_table(placed, []), Offset(400))
    asked = history.query("SELECT last_seen_at FROM people WHERE person >= 50 ORDER BY person").column(0).to_pylist()
    assert asked == [to_datetime(Instant(T + (HOUR if is_sign_of_life(one) else 0))) for one in told]


def test_accounts_have_traits_and_members(history: DeltaHistory) -> None:
    told = [
        event("ada", 0, "group", context={"groupId": "acme"}, traits={"plan": "gold", "seats": 3, "gone": 1}),
        event("bob", HOUR, "group", context={"groupId": "acme"}, traits={"plan": "silver", "gone": None}),
        event("ada", HOUR, "group", context={"groupId": "plain"}),
    ]
    placed = [(Offset(301 + n), one.stamp_at, Person(0), one) for n, one in enumerate(told)]
    history.append("events", rows.events_table(placed, []), Offset(310))
    found = history.query("SELECT * FROM accounts ORDER BY account").to_pylist()
    assert [(one["account"], one["members"], sorted(one["people"])) for one in found] == [
        ("acme", 2, [0, 1]),
        ("plain", 1, [0]),
    ]
    assert json.loads(found[0]["traits"]) == {"plan": "silver", "seats": "3"}
    assert found[1]["traits"] is None
    assert found[0]["last_seen_at"] - found[0]["first_seen_at"] == timedelta(hours=1)


def test_views_as_of_an_instant_are_what_an_export_made_then_said(tmp_path: Path) -> None:
    then, now = (DeltaHistory(tmp_path / name, star()) for name in ("then", "now"))
    fill(now)
    cut = offset_by(now, Instant(T + 6 * HOUR))
    assert cut == 90
    for history, upto in ((then, cut), (now, Offset(300))):
        told = [row for row in [consent(41, "b0b", "news", True, HOUR), consent(250, "b0b", "news", False, 9 * DAY)]]
        history.append("records", rows.records_table([row for row in told if row[0] <= upto]), upto)
    assert offset_by(now, Instant(T - 1)) == 0
    then.append("events", rows.events_table([row for row in TOLD if row[0] <= cut], []), cut)
    owned = [row for row in OWNED if row[0] <= cut]
    then.append("belonging", rows.belonging_table(owned), cut)
    then.append("transitions", rows.transitions_table(CHANGES), cut)
    export_views(then, tmp_path / "yesterday", "parquet")
    export_views(now, tmp_path / "as-of", "parquet", upto=cut)
    for name in views():
        said, answered = (pq.read_table(tmp_path / made / f"{name}.parquet") for made in ("yesterday", "as-of"))
        assert sorted(map(str, said.to_pylist())) == sorted(map(str, answered.to_pylist())), name
    assert now.query("SELECT count(*) FROM orders").column(0)[0].as_py() == 3
    assert now.query("SELECT count(*) FROM orders", upto=cut).column(0)[0].as_py() == 1
    assert now.query("SELECT count(*) FROM orders", upto=Offset(0)).column(0)[0].as_py() == 0


def test_a_person_is_named_by_the_most_telling_identifier(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path / "history", star())
    names = ["anonymous_id:a", "card:c", "phone:p", "email:e", "user_id:z"]
    for n in range(len(names)):
        told = Belonging(names[n], ADA, Offset(n + 1), None)
        history.append("belonging", rows.belonging_table([(Offset(n + 1), told)]), Offset(n + 1))
        named = history.query("SELECT identifier FROM people").column(0).to_pylist()
        assert named == [["anonymous_id:a"], ["card:c"], ["phone:p"], ["email:e"], ["user_id:z"]][n]


def test_a_project_says_which_identifier_tells_most(tmp_path: Path) -> None:
    stored = SqlRecords.open(tmp_path / "records.sqlite")
    history = DeltaHistory(tmp_path / "history", star(stored.definitions))
    names = ["anonymous_id:a", "card:c", "shop:s", "email:e", "user_id:z"]
    told = [(Offset(n + 1), Belonging(each, ADA, Offset(n + 1), None)) for n, each in enumerate(names)]
    history.append("belonging", rows.belonging_table(told), Offset(len(names)))
    expected = {
        "": "user_id:z",
        "priority: [card, user_id]": "card:c",
        "priority: [anonymous_id, email]": "anonymous_id:a",
        "priority: [phone, anonymous_id]": "card:c",  # who is not named comes before an anonymous_id at the end
        "external: [card]": "user_id:z",
    }
    assert tuple(IdentityRules().priority) == KINDS
    for version, (text, shown) in enumerate(expected.items(), 1):
        files = {"identity.yaml": text} if text else {}
        stored.definitions.store(DefinitionVersion(version=version, applied_at=Instant(T), digest="d", files=files))
        found = history.query("SELECT p.identifier FROM people AS p").column(0).to_pylist()
        assert found == [shown], text
    stored.close()


def test_views_of_an_empty_history_are_empty(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path / "history", star())
    for name in views():
        assert history.query(f"SELECT * FROM {name}").num_rows == 0


def test_a_query_of_views_is_fenced_in_like_any_other(history: DeltaHistory, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    with pytest.raises(InvalidInput):
        history.query(f"SELECT * FROM people, read_csv('{tmp_path / 'x.csv'}')")


def test_views_are_exported_as_parquet_and_read_by_polars(history: DeltaHistory, tmp_path: Path) -> None:
    written = export_views(history, tmp_path / "out", "parquet")
    assert (written["people"], written["orders"], written["order_lines"]) == (2, 3, 3)
    assert export_views(history, tmp_path / "out", "parquet", ["orders"]) == {"orders": 3}
    assert not list((tmp_path / "out").glob(".*"))
    people, orders = (pl.scan_parquet(tmp_path / "out" / f"{name}.parquet") for name in ("people", "orders"))
    found = (
        orders.join(people, on="person").group_by("identifier").agg(pl.col("total").sum()).sort("identifier").collect()
    )
    assert found.rows() == [("user_id:ada", 111.5), ("user_id:bob", 3.0)]
    with pytest.raises(InvalidInput, match="there is no view 'oders'"):
        export_views(history, tmp_path / "out", "parquet", ["oders"])


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_a_view_without_rows_takes_the_place_of_an_older_export(
    history: DeltaHistory, tmp_path: Path, kind: Literal["parquet", "delta"]
) -> None:
    def lines() -> pa.Table:
        if kind == "delta":
            return pa.table(deltalake.DeltaTable(tmp_path / "out" / "order_lines").to_pyarrow_table())
        return pq.read_table(tmp_path / "out" / "order_lines.parquet")

    assert export_views(history, tmp_path / "out", kind, ["order_lines"]) == {"order_lines": 3}
    before = lines()
    assert before.num_rows == 3
    history.erase(["user_id:ada", "user_id:ada2", "user_id:bob"], [ADA, BOB], T)
    assert export_views(history, tmp_path / "out", kind, ["order_lines"]) == {"order_lines": 0}
    assert lines().num_rows == 0
    assert lines().schema.names == before.schema.names
    assert lines().schema.types == before.schema.types


def test_views_are_exported_as_delta_tables_with_versions(history: DeltaHistory, tmp_path: Path) -> None:
    export_views(history, tmp_path / "out", "delta", ["orders"])
    export_views(history, tmp_path / "out", "delta", ["orders"])
    table = deltalake.DeltaTable(tmp_path / "out" / "orders")
    assert (table.version(), table.count()) == (1, 3)
    assert pl.scan_delta(str(tmp_path / "out" / "orders")).select(pl.len()).collect().item() == 3


def test_polars_reads_the_table_an_old_version_and_a_feed_with_a_deletion(
    history: DeltaHistory, tmp_path: Path
) -> None:
    events = str(tmp_path / "history" / "events")
    assert pl.scan_delta(events).select("offset").collect().height == len(EVENTS)
    assert pl.scan_delta(events, version=0).select("offset").collect()["offset"].to_list() == [10, 20, 30]
    history.compact("events", T, least=2)
    since = history.versions("events")[0]["version"]
    assert history.erase(["user_id:bob"], [BOB], T) > 0
    assert pl.scan_delta(events).filter(pl.col("identifier") == "bob").collect().height == 0
    feed = pl.DataFrame(pa.table(deltalake.DeltaTable(events).load_cdf(since + 1).read_all()))
    gone = feed.filter(pl.col("_change_type") == "delete")["offset"].sort().to_list()
    assert gone == [80, 100]


# --- Spark, which here has no reader of Delta's log: it is given the files that the table names ---


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    if shutil.which("java") is None:
        pytest.skip("Spark needs java")
    sql = pytest.importorskip("pyspark.sql")
    session = (
        sql.SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.adaptive.enabled", "false")
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_spark_joins_the_star_and_reads_an_old_version_and_a_feed(
    history: DeltaHistory, tmp_path: Path, spark: Any
) -> None:
    history.append("records", rows.records_table([consent(201, "b0b", "news", True, 0)]), Offset(300))

    def opened(table: str, version: int | None = None) -> Any:
        return spark.read.option("mergeSchema", "true").parquet(*history.files(table, version))

    for table in ("events", "belonging", "transitions", "records"):
        opened(table).coalesce(1).createOrReplaceTempView(table)
    for name, sql in views("spark").items():
        spark.sql(sql).createOrReplaceTempView(name)

    def asked(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in spark.sql(sql.replace('"offset"', "`offset`")).collect()]

    check_people([(*row[:5], list(row[5]) if row[5] else None) for row in asked(PEOPLE)])
    assert asked(LINES) == EXPECTED_LINES
    assert asked(MESSAGES) == EXPECTED_MESSAGES
    assert asked(STAR) == EXPECTED_STAR
    assert asked("SELECT person, state, since_at FROM consents") == [
        (1, "granted", to_datetime(T).replace(tzinfo=None))
    ]
    assert asked("SELECT * FROM accounts") == []

    assert opened("events", 0).count() == 3
    history.erase(["user_id:bob"], [BOB], T)
    assert opened("events").filter("identifier = 'bob'").count() == 0
    fed = [os.fspath(path) for path in (tmp_path / "history" / "events" / "_change_data").glob("*.parquet")]
    gone = spark.read.parquet(*fed).filter("_change_type = 'delete'").collect()
    assert sorted(row["offset"] for row in gone) == [80, 100]
    assert pq.read_table(fed[0])["properties"].null_count == pq.read_table(fed[0]).num_rows
