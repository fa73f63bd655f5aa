"""A declared mapping turns rows into calls; what does not fit is found before anything is sent."""

from datetime import UTC, date, datetime

import msgspec
import pytest

from mailwright.core.errors import InvalidInput
from mailwright.ingest.dry_run import MappingReport
from mailwright.ingest.mapping import RowMapping


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
        ("when", "9999-12-31T23:59:59-10:00", "out of range"),
        ("when", "0001-01-01T00:00:00+23:00", "out of range"),
        ("when", "0001-01-01T00:00:00", "out of range"),
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


@pytest.mark.parametrize(
    ("format", "value", "read"),
    [
        ("%d.%m.%Y", "31.12.1990", "1990-12-31"),
        ("", "1990-12-31", "1990-12-31"),
        ("", "1990-12-31T00:00:00+02:00", "1990-12-31"),
        ("", datetime(1990, 12, 31, tzinfo=UTC), "1990-12-31"),
        ("", date(1990, 12, 31), "1990-12-31"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/Los_Angeles"])
def test_a_birthday_is_the_same_day_in_every_zone(format, value, read, zone):
    born = {"to": "traits.birthday", "type": "date", "format": format}
    people = mapping(**{"as": "identify"}, columns={"id": "userId", "born": born}, zone=zone)
    assert people.call(1, {"id": "7", "born": value})["traits"] == {"birthday": read}


def test_a_day_that_is_none_is_told():
    born = {"to": "traits.birthday", "type": "date", "format": "%d.%m.%Y"}
    people = mapping(**{"as": "identify"}, columns={"id": "userId", "born": born})
    with pytest.raises(InvalidInput, match=r"line 3, column born: '1990-12-31' is no date; write it like %d.%m.%Y"):
        people.call(3, {"id": "7", "born": "1990-12-31"})


def test_instants_that_are_written_otherwise():
    told = mapping(
        **{"as": "identify"},
        zone="Europe/Berlin",
        columns={
            "u": "userId",
            "a": {"to": "timestamp", "format": "%d.%m.%Y %H:%M"},
            "b": {"to": "traits.b", "format": "milliseconds"},
            "c": {"to": "traits.c", "format": "seconds"},
        },
    )
    call = told.call(1, {"u": "1", "a": "01.07.2026 12:00", "b": 1500, "c": "1.5"})
    assert call["timestamp"] == "2026-07-01T10:00:00Z"
    assert call["traits"] == {"b": "1970-01-01T00:00:01.500000Z", "c": "1970-01-01T00:00:01.500000Z"}
    with pytest.raises(InvalidInput, match=r"not written as %d\.%m\.%Y"):
        told.call(1, {"u": "1", "a": "2026-07-01"})


def test_groups_consents_and_suppressions():
    group = mapping(**{"as": "group"}, columns={"u": "userId", "g": "groupId", "n": "traits.name"})
    assert group.check("x") == []
    assert group.call(1, {"u": "1", "g": "acme", "n": "Acme"})["traits"] == {"name": "Acme"}
    consents = mapping(
        **{"as": "consents"},
        columns={"m": "email", "ok": "granted", "on": "at"},
        constants={"purpose": "newsletter", "source": "crm", "wording": "Yes"},
    )
    assert consents.check("x") == []
    assert consents.call(1, {"m": "a@b.test", "ok": "yes", "on": "2026-01-01"}) == {
        "purpose": "newsletter",
        "source": "crm",
        "wording": "Yes",
        "email": "a@b.test",
        "granted": True,
        "at": "2026-01-01T00:00:00Z",
    }
    wrong = mapping(**{"as": "suppressions"}, columns={"m": "traits.email"})
    text = "\n".join(map(str, wrong.check("x")))
    assert "'traits.email' is nothing" in text
    assert "known: email, reason" in text
    assert "no column gives reason" in text


def test_a_report_tells_where_columns_go_and_masks_what_is_personal():
    people = mapping(
        **{"as": "identify"}, columns={"mail": "traits.email", "name": "traits.firstName", "n": "traits.orders"}
    )
    report = MappingReport(people, ["mail", "name", "n", "note"], lambda name: name == "firstName")
    report.see({"mail": "ada@shop.test", "name": "Ada", "n": 3, "note": "call +49 170 1234567 " + "x" * 50})
    report.see({"mail": "", "name": None, "n": 3, "note": "bob@shop.test"})
    told = [(one.column, one.to, one.n_filled, list(one.examples)) for one in report.columns()]
    assert told == [
        ("mail", "traits.email", 1, ["a***@s***.test"]),
        ("name", "traits.firstName", 1, ["A***"]),
        ("n", "traits.orders", 2, ["3"]),
        ("note", "", 2, ["call +49 170 1234567 xxxxxxxxxxxxxxxx...", "b***@s***.test"]),
    ]
