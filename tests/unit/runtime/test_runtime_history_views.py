"""The star-shaped views, asked by DuckDB, and opened as files by engines that are not ours."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import deltalake
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Event, Identifier, Offset, Person
from mailwright.core.instants import DAY, HOUR, Instant, parse_iso
from mailwright.profiles.identity import Belonging
from mailwright.rules.fold import Change
from mailwright.rules.sql.star import TITLES, views
from mailwright.runtime.engine import history_rows as rows
from mailwright.runtime.history_views import export_views, star
from mailwright.stores.history_delta import DeltaHistory

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


def fill(history: DeltaHistory) -> None:
    told = [(Offset(10 * (n + 1)), one.stamp_at, Person(0), one) for n, one in enumerate(EVENTS)]
    owned = [
        (Offset(10), Belonging("user_id:ada", ADA, Offset(10), None)),
        (Offset(30), Belonging("user_id:ada2", Person(2), Offset(30), None)),
        (Offset(40), Belonging("user_id:ada2", Person(2), Offset(30), Offset(40))),
        (Offset(40), Belonging("user_id:ada2", ADA, Offset(40), None)),
        (Offset(80), Belonging("user_id:bob", BOB, Offset(80), None)),
    ]
    changes = [
        (Offset(20), T, Change(ADA, "new", True, "event")),
        (Offset(50), T, Change(ADA, "new", False, "time")),
        (Offset(50), Instant(T + DAY), Change(ADA, "vip", True, "event")),
    ]
    history.append("belonging", rows.belonging_table(owned), Offset(200))
    history.append("transitions", rows.transitions_table(changes), Offset(200))
    for n in range(0, len(told), 3):
        history.append("events", rows.events_table(told[n : n + 3], []), Offset(told[min(n + 2, len(told) - 1)][0]))


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
    assert bob == (1, "user_id:bob", 1, 1, None, None)


def test_the_views_say_who_did_what(history: DeltaHistory) -> None:
    check_people(tuples(history.query(PEOPLE)))
    assert tuples(history.query(LINES)) == EXPECTED_LINES
    assert tuples(history.query(MESSAGES)) == EXPECTED_MESSAGES
    assert tuples(history.query(STAR)) == EXPECTED_STAR
    assert list(views()) == list(TITLES)


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
    def opened(table: str, version: int | None = None) -> Any:
        return spark.read.option("mergeSchema", "true").parquet(*history.files(table, version))

    for table in ("events", "belonging", "transitions"):
        opened(table).coalesce(1).createOrReplaceTempView(table)
    for name, sql in views("spark").items():
        spark.sql(sql).createOrReplaceTempView(name)

    def asked(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in spark.sql(sql.replace('"offset"', "`offset`")).collect()]

    check_people([(*row[:5], list(row[5]) if row[5] else None) for row in asked(PEOPLE)])
    assert asked(LINES) == EXPECTED_LINES
    assert asked(MESSAGES) == EXPECTED_MESSAGES
    assert asked(STAR) == EXPECTED_STAR

    assert opened("events", 0).count() == 3
    history.erase(["user_id:bob"], [BOB], T)
    assert opened("events").filter("identifier = 'bob'").count() == 0
    fed = [os.fspath(path) for path in (tmp_path / "history" / "events" / "_change_data").glob("*.parquet")]
    gone = spark.read.parquet(*fed).filter("_change_type = 'delete'").collect()
    assert sorted(row["offset"] for row in gone) == [80, 100]
    assert pq.read_table(fed[0])["properties"].null_count == pq.read_table(fed[0]).num_rows
