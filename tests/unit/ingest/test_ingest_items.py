"""Catalog items are what their catalog declares, or are refused with every fault named."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput, MailwrightError
from mailwright.core.events import Item
from mailwright.core.instants import parse_iso
from mailwright.ingest.definitions import CatalogDefinition, EventPlan, TrackingPlan
from mailwright.ingest.items import parse_items
from mailwright.ingest.limits import Refusal

NOW = parse_iso("2026-05-01T12:00:00Z")
PRODUCTS = CatalogDefinition(
    title="Products",
    required=("price",),
    facts={"price": "number", "title": "text", "new_since": "instant", "tags": "list", "on_sale": "boolean"},
)
CATALOGS = {"products": PRODUCTS}


def parse(*items, **options):
    return parse_items(json.dumps({"items": items}).encode(), catalogs=CATALOGS, received_at=NOW, **options)


def item(facts, **fields):
    return {"catalog": "products", "item_id": "p1", "facts": facts, **fields}


def test_a_good_item_is_a_version_in_force_from_its_stamp():
    facts = {"price": 2.5, "title": "Shirt", "new_since": "2026-01-01T00:00:00Z", "tags": ["a"], "on_sale": False}
    parsed = parse(item({**facts, "unused": None} | {}), item(facts, item_id=17, stamp="2026-01-01"))
    assert parsed.refused == []
    assert parsed.items == [
        Item(catalog="products", item_id="p1", stamp_at=NOW, facts=facts),
        Item(catalog="products", item_id="17", stamp_at=parse_iso("2026-01-01T00:00:00Z"), facts=facts),
    ]


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        (item({}), "facts.price", "required by the catalog, but missing"),
        (item({"price": None}), "facts.price", "required by the catalog, but missing"),
        (item({"price": "2.50"}), "facts.price", '"2.50" is no number'),
        (item({"price": True}), "facts.price", "true is no number"),
        (item({"price": 1, "prise": 2}), "facts.prise", "the catalog declares no such fact; did you mean 'price'?"),
        (item({"price": 1, "tags": "a"}), "facts.tags", '"a" is no list'),
        (
            item({"price": 1, "new_since": "soon"}),
            "facts.new_since",
            '"soon" is no instant; write it like 2026-11-22T09:30:00Z',
        ),
        (item({"price": 1}, catalog="product"), "catalog", "there is no catalog 'product'; did you mean 'products'?"),
        (item({"price": 1}, item_id=" "), "item_id", "it has 0 characters, 1 to 256 are taken"),
        (item({"price": 1}, stamp="x"), "stamp", "'x' is not an ISO 8601 time"),
        (item({"price": 1}, when=1), "when", "there is no such field"),
        ({"catalog": "products", "facts": {}}, "item_id", "missing"),
        (item({"price": 2**63}), "facts", "the number 9223372036854775808... does not fit into 64 bits"),
        (item({"price": 1, "title": "x" * 33_000}), "", "it has 33,076 bytes, at most 32,768 are taken"),
    ],
)
def test_a_bad_item_is_refused_and_its_neighbour_is_taken(bad, field, reason):
    parsed = parse(bad, item({"price": 1}))
    assert parsed.refused == [Refusal(0, field, reason)]
    assert len(parsed.items) == 1


def test_all_faults_of_an_item_are_told():
    assert len(parse(item({"titel": "a", "on_sale": "no"}, stamp="x")).refused) == 4


def test_a_request_has_its_limits():
    for body, code in ((b'{"items":' + b" " * 512_000, "ingest.too_large"), (b"{}", "ingest.json")):
        with pytest.raises(InvalidInput) as caught:
            parse_items(body, catalogs=CATALOGS, received_at=NOW)
        assert caught.value.code == code
    with pytest.raises(InvalidInput, match="2,501 items"):
        parse(*([1] * 2501))


@settings(max_examples=60, deadline=None)
@given(
    body=st.binary(max_size=80)
    | st.lists(st.dictionaries(st.text(max_size=8), st.integers())).map(
        lambda each: json.dumps({"items": each}).encode()
    )
)
def test_anything_gives_items_refusals_or_one_error(body):
    try:
        parsed = parse_items(body, catalogs=CATALOGS, received_at=NOW)
    except MailwrightError:
        return
    assert parsed.items == []
    assert all(each.reason for each in parsed.refused)


def test_definitions_name_what_is_not_declared():
    catalog = CatalogDefinition(title="P", facts={"price": "number"}, required=("prize",))
    assert [str(issue) for issue in catalog.check("catalog.yaml: products")] == [
        "catalog.yaml: products.required: 'prize' is required but not declared\n    hint: did you mean 'price'?"
    ]
    plan = TrackingPlan(events={"Paid": EventPlan(properties={"total": "number"}, required=("totl",))})
    ((at, paid),) = plan.places()
    assert (at, paid.check("x")[0].path) == (("events", "Paid"), "x.required")
    assert PRODUCTS.check("x") == []
