"""A declared mapping turns rows into calls; what does not fit is found before anything is sent."""

import json

import msgspec
import pytest

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import parse_iso
from mailwright.ingest.dry_run import Checked, dry_run
from mailwright.ingest.limits import Limits
from mailwright.ingest.mapping import RowMapping, batches
from mailwright.ingest.segment import Source, parse_request
from mailwright.privacy import KeyRing, Sealer


def mapping(**fields):
    return msgspec.convert(fields, RowMapping)


ORDERS = mapping(
    **{"as": "track"},
    event="Order Completed",
    zone="Europe/Berlin",
    columns={
        "household": "userId",
        "when": "timestamp",
        "total": {"to": "properties.total", "type": "number"},
        "gift": {"to": "properties.gift", "type": "boolean"},
        "lines": {"to": "properties.products", "type": "json"},
        "zip": {"to": "properties.address.zip", "type": "text"},
    },
    constants={"properties.currency": "EUR"},
)
COLUMNS = ["household", "when", "total", "gift", "lines", "zip", "note"]
ROW = {
    "household": "7",
    "when": "2026-07-01 12:00:00",
    "total": "12.50",
    "gift": "No",
    "lines": '[{"product_id": "1"}]',
    "zip": 89073,
    "note": "x",
}


def test_a_row_becomes_a_call():
    call = ORDERS.call(5, ROW)
    message_id = call.pop("messageId")
    assert call == {
        "type": "track",
        "event": "Order Completed",
        "userId": "7",
        "timestamp": "2026-07-01T10:00:00Z",
        "properties": {
            "currency": "EUR",
            "total": 12.5,
            "gift": False,
            "products": [{"product_id": "1"}],
            "address": {"zip": "89073"},
        },
    }
    assert message_id == ORDERS.call(5, dict(ROW))["messageId"]
    assert len({message_id, ORDERS.call(6, ROW)["messageId"], ORDERS.call(5, {**ROW, "note": "y"})["messageId"]}) == 3


def test_identify_and_items():
    people = mapping(**{"as": "identify"}, columns={"mail": "traits.email", "id": "messageId"})
    assert people.call(2, {"mail": "a@example.com", "id": "r1"}) == {
        "type": "identify",
        "traits": {"email": "a@example.com"},
        "messageId": "r1",
    }
    products = mapping(**{"as": "items"}, catalog="products", columns={"sku": "item_id", "cost": "facts.price"})
    assert products.call(2, {"sku": "1", "cost": ""}) == {"catalog": "products", "item_id": "1", "facts": {}}


@pytest.mark.parametrize(
    ("type", "written", "read"),
    [
        ("number", " 1 ", 1),
        ("number", "-1.50", -1.5),
        ("number", "1e3", 1000.0),
        ("number", 2.5, 2.5),
        ("boolean", "TRUE", True),
        ("boolean", "0", False),
        ("boolean", True, True),
        ("text", 5, "5"),
        (None, 5, 5),
        ("instant", "2026-01-01", "2025-12-31T23:00:00Z"),
        ("instant", "2026-01-01T00:00:00-05:00", "2026-01-01T05:00:00Z"),
        ("instant", "2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.123456Z"),
        ("json", [1], [1]),
    ],
)
def test_cells_are_read_as_their_type(type, written, read):
    told = mapping(
        **{"as": "identify"}, zone="Europe/Berlin", columns={"u": "userId", "x": {"to": "traits.x", "type": type}}
    )
    value = told.call(1, {"u": "1", "x": written})["traits"]["x"]
    assert (value, value.__class__) == (read, read.__class__)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("total", "1,234.50", "'1,234.50' is no number; write it like 1234.50"),
        ("total", "1e999", "too large"),
        ("total", "9" * 30, "too large"),
        ("gift", "maybe", "neither true nor false"),
        ("when", "yesterday", "not an ISO 8601 time"),
        ("lines", "[1", "is not JSON"),
    ],
)
def test_a_cell_that_is_none_is_told_with_line_and_column(column, value, words):
    with pytest.raises(InvalidInput) as caught:
        ORDERS.call(9, {**ROW, column: value})
    assert [issue.path for issue in caught.value.issues] == [f"line 9, column {column}"]
    assert words in caught.value.issues[0].message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"columns": {"houshold": "userId"}}, ["no column 'houshold'", "did you mean 'household'?"]),
        ({"columns": {"household": "userID"}}, ["'userID' is nothing", "did you mean 'userId'?", "no column says who"]),
        ({"columns": {"household": "userId", "total": "traits.total"}}, ["did you mean 'properties.total'?"]),
        ({"columns": {"household": "userId", "total": "properties"}}, ["'properties' is nothing"]),
        ({"columns": {"household": "userId", "total": "properties."}}, ["'properties.' is nothing"]),
        ({"columns": {"household": "userId", "total": "userId"}}, ["two columns go to 'userId'"]),
        ({"columns": {"household": "userId", "total": "context.a", "zip": "context.a.b"}}, ["two columns go to"]),
        ({"columns": {"total": "properties.x"}}, ["no column says who"]),
        ({"event": ""}, ["needs the event's name"]),
        ({"zone": "Europe/Berln"}, ["no time zone 'Europe/Berln'"]),
        ({"as": "items", "columns": {"zip": "facts.x"}}, ["items need a catalog", "no column gives the item_id"]),
    ],
)
def test_a_faulty_mapping_is_explained(fields, words):
    told = mapping(**{"as": "track", "event": "E", "columns": {"household": "userId"}, **fields})
    text = "\n".join(map(str, told.check("import.yaml", COLUMNS)))
    assert all(word in text for word in words)


def test_a_good_mapping_has_no_faults():
    assert ORDERS.check("import.yaml", COLUMNS) == []
    assert ORDERS.check("import.yaml") == []


def test_calls_are_packed_into_bodies_within_the_limits():
    calls = [{"n": n} for n in range(10)]
    bodies = list(batches(calls, limits=Limits(request_items=4, request_bytes=1000)))
    assert [len(json.loads(body)["batch"]) for body in bodies] == [4, 4, 2]
    small = Limits(request_bytes=len(b'{"batch":[{"n":0},{"n":1}]}'))
    bodies = list(batches(calls, limits=small))
    assert [each for body in bodies for each in json.loads(body)["batch"]] == calls
    assert {len(body) for body in bodies} == {small.request_bytes}
    tight = Limits(request_bytes=small.request_bytes - 1)
    assert len(list(batches(calls, limits=tight))) == 10
    assert list(batches([])) == []
    assert list(batches([{"a": 1}], "items")) == [b'{"items":[{"a":1}]}']


def test_a_dry_run_counts_and_shows_the_first_faults():
    seal = Sealer(KeyRing.generate())

    def check(call):
        told = parse_request(
            call["type"],
            json.dumps(call).encode(),
            source=Source("file"),
            received_at=parse_iso("2026-08-01T00:00:00Z"),
            seal=seal,
            new_id=lambda: "x",
        )
        return Checked(*([(each.field, each.reason) for each in some] for some in (told.refused, told.warned)))

    rows = [(2, ROW), (3, {**ROW, "total": "x"}), (4, {**ROW, "household": ""}), (5, ROW)]
    report = dry_run(rows, ORDERS, check, columns=COLUMNS)
    assert (report.n_rows, report.n_good, report.n_faults) == (4, 2, 2)
    assert [issue.path for issue in report.faults] == ["line 3, column total", "line 4, userId"]
    assert report.unused == ["note"]
    assert report.examples[0]["userId"] == "7"
    assert len(dry_run(rows, ORDERS, check, columns=None, keep=1).faults) == 1
