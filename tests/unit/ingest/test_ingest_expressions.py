"""The language of paths and functions that webhooks and lookups are mapped by."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput
from mailwright.ingest.expression_functions import FUNCTIONS
from mailwright.ingest.expressions import (
    Scope,
    Unfit,
    compile_condition,
    compile_expression,
    looks_like_expression,
)
from mailwright.ingest.templates import compile_template

BODY = {
    "id": 7,
    "total": "12.50",
    "customer": {"email": "ada@shop.example", "odd name": 1, "empty": ""},
    "lines": [{"sku": "a", "price": "1.5", "tags": ["x", "y"]}, {"sku": "b", "price": 2, "tags": ["z"]}, {"price": 3}],
    "flags": {"a": True, "b": False},
    "none": None,
    "created": 1_700_000_000,
    "text": '{"x": [1]}',
}
SCOPE = Scope(
    body=BODY,
    item=BODY["lines"][1],
    headers={"x-topic": "orders/create"},
    query={"shop": "one"},
    options={"purposes": {"7": "marketing"}},
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$.customer.email", "ada@shop.example"),
        ("$", BODY),
        ("item.sku", "b"),
        ("item", BODY["lines"][1]),
        ('$.customer["odd name"]', 1),
        ("$.lines[0].sku", "a"),
        ("$.lines[-1].price", 3),
        ("$.lines[9].price", None),
        ("$.lines[*].sku", ["a", "b"]),
        ("$.lines[*].tags[*]", ["x", "y", "z"]),
        ("$.flags[*]", [True, False]),
        ("$.lines.sku", None),
        ("$.id.deeper[0]", None),
        ("$.nothing[*].x", None),
        ('header("X-Topic")', "orders/create"),
        ('query("shop")', "one"),
        ('option("purposes")', {"7": "marketing"}),
        ('lookup(option("purposes"), text($.id))', "marketing"),
        ('lookup(option("purposes"), "8")', None),
        ('lookup($.id, "8", "else")', "else"),
        ("number($.total)", 12.5),
        ("number($.none)", None),
        ('number("")', None),
        ('number("-3")', -3),
        ("text($.id)", "7"),
        ("text(true)", "true"),
        ("text(2.0)", "2"),
        ('boolean("Yes")', True),
        ("boolean(0)", False),
        ("instant($.created)", "2023-11-14T22:13:20Z"),
        ("instant(1700000000123)", "2023-11-14T22:13:20.123000Z"),
        ('instant("2020-01-09T16:35:26.277+0000")', "2020-01-09T16:35:26.277000Z"),
        ('instant("1543832130")', "2018-12-03T10:15:30Z"),
        ('money(1999, "eur")', 19.99),
        ('money(1999, "JPY")', 1999.0),
        ('money(1999, "KWD")', 1.999),
        ('first($.none, $.customer.empty, "x")', "x"),
        ("first($.none, 0)", 0),
        ("first($.lines[*].sku)", "a"),
        ('join(" ", "a", $.none, "b")', "a b"),
        ('join(",", $.lines[*].sku)', "a,b"),
        ('join(",", $.nothing)', None),
        ('concat("order-", $.id)', "order-7"),
        ('concat("order-", $.none)', None),
        ('split("a, b,,c", ",")', ["a", "b", "c"]),
        ("count($.lines)", 3),
        ("count($.none)", 0),
        ("sum($.lines[*].price)", 6.5),
        ("sum($.nothing[*].x)", None),
        ("minus(5, 3)", 2),
        ("divide(5, 2)", 2.5),
        ("times($.none, 2)", None),
        ('case("b", "a", 1, "b", 2)', 2),
        ('case("c", "a", 1, "b", 2, 3)', 3),
        ('case(true, 1, "one")', None),
        ("if($.none, 1, 2)", 2),
        ("entries($.flags)", [{"key": "a", "value": True}, {"key": "b", "value": False}]),
        ("json($.text).x", None),
        ("json($.text)", {"x": [1]}),
        ('lower("ÄB")', "äb"),
        ("'single'", "single"),
        ('"a\\"b\\n"', 'a"b\n'),
        ('contains($.lines[*].sku, "a")', True),
        ('starts_with($.none, "a")', False),
        ("[1, $.id]", [1, 7]),
        ("null", None),
    ],
)
def test_values(text, value):
    if text == "json($.text).x":
        with pytest.raises(InvalidInput):
            compile_expression(text)
        return
    found = compile_expression(text)(SCOPE)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('header("x-topic") == "orders/create"', True),
        ('$.id in [6, 7] and $.total == "12.50"', True),
        ('$.id == "7"', False),
        ("$.id != '7'", True),
        ("$.id == 7.0", True),
        ("$.id > 6.5", True),
        ('$.id > "6"', False),
        ('$.total < "2"', True),
        ("true == 1", False),
        ("exists($.customer.empty)", False),
        ("exists($.none) or exists($.id)", True),
        ("not exists($.none)", True),
        ("not not $.id", True),
        ("$.flags.b", False),
        ("0", False),
        ("not ($.id == 7 and $.none)", True),
        ("not $.id == 7 or $.id == 7", True),
        ('"x" in $.none', False),
        ("$.none == null", True),
    ],
)
def test_conditions(text, holds):
    assert compile_condition(text)(SCOPE) is holds


@pytest.mark.parametrize(
    "text",
    ["number($.customer)", 'number("abc")', 'number("nan")', 'number("1e999")', "number(true)", "text($.lines)",
     'boolean("maybe")', 'instant("soon")', 'instant("9999-12-31T23:59:59-10:00")',
     "instant(99999999999999999999)", 'money(1, "???")', "divide(1, 0)",
     "count($.id)", "entries($.lines)", 'json("{")', 'money(1, $.none)', "sum($.customer)"],
)  # fmt: skip
def test_what_cannot_be_is_unfit_and_says_no_value(text):
    with pytest.raises(Unfit) as caught:
        compile_expression(text)(SCOPE)
    assert "ada" not in caught.value.reason


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("numbre($.id)", 1, "there is no function 'numbre'"),
        ("number($.id", 12, "')' is missing"),
        ("number()", 1, "number takes 1 arguments, not 0"),
        ("$.id ==", 8, "a value is missing"),
        ("$.id = 7", 6, "nothing begins with '='"),
        ("$.id 7", 6, "'7' is too much here"),
        ("paid", 1, "'paid' is no value"),
        ("$.a and ?", 9, "nothing begins with '?'"),
        ("header($.x)", 1, "header takes one name in quotes"),
        ("", 1, "a value is missing"),
        ("(" * 60, 41, "nested too deeply"),
        ('"\\x"', 2, "there is no escape"),
        ("x" * 3000, 1, "at most 2,000"),
        ("and", 1, "'and' is no value"),
    ],
)
def test_faults_are_told_with_their_place(text, column, message):
    with pytest.raises(InvalidInput) as caught:
        compile_expression(text)
    [issue] = caught.value.issues
    assert message in issue.message
    assert issue.span.column == column


def test_the_nearest_function_is_named():
    with pytest.raises(InvalidInput, match="did you mean 'number'"):
        compile_expression("numbre($.id)")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_how_it_is_called(name):
    assert FUNCTIONS[name].help.startswith(f"{name}(")


def test_texts_are_constants_unless_they_look_like_expressions():
    for text in ("Order Completed", "items", "itemised", "a $ sign", "due (soon)", "price: $5"):
        assert not looks_like_expression(text), text
    for text in ("$.a", ' "quoted"', "item", "item.a", "item[0]", "number(x)", "nonsense(1)"):
        assert looks_like_expression(text), text


def test_templates_leave_out_what_is_null():
    make, faults = compile_template(
        {
            "a": "$.id",
            "b": "$.none",
            "c": "plain",
            "n": 3,
            "lines": {"each": "$.lines", "as": {"sku": "item.sku", "order": "$.id"}},
            "list": ["$.id", "$.none", "x"],
        }
    )
    assert not faults
    assert make(SCOPE) == {
        "a": 7,
        "c": "plain",
        "n": 3,
        "lines": [{"sku": "a", "order": 7}, {"sku": "b", "order": 7}, {"order": 7}],
        "list": [7, "x"],
    }


@pytest.mark.parametrize(
    ("lines", "made"),
    [({}, {}), ({"lines": []}, {"lines": []}), ({"lines": [{}, {"x": 1}]}, {}), ({"lines": None}, {})],
)
def test_an_object_or_list_of_which_nothing_is_there_is_left_out_but_not_an_empty_list(lines, made):
    template = {
        "address": {"city": "$.city", "geo": {"lat": "$.lat"}},
        "phones": ["$.phone", "$.mobile"],
        "lines": {"each": "$.lines", "as": {"sku": "item.sku"}},
    }
    make, _ = compile_template({"a": {"inner": template, "meant": {}, "none": []}})
    assert make(Scope(body=lines, item=lines)) == {"a": {"meant": {}, "none": []} | ({"inner": made} if made else {})}


def test_templates_tell_which_field_is_unfit_and_where_they_are_at_fault():
    make, _ = compile_template({"a": {"b": "number($.customer)"}}, ("properties",))
    with pytest.raises(Unfit) as caught:
        make(SCOPE)
    assert (caught.value.place, caught.value.reason) == ("properties.a.b", "is no number")
    _, faults = compile_template({"a": ["$.x", "wrong("], "b": "wrong(1)"})
    assert [place for place, _ in faults] == [("a", 1), ("b",)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcd") | st.text(max_size=4), inner),
    max_leaves=12,
)
PATHS = ["$", "$.a", "$.a.b[*]", "$[0]", "$[*].a[*].b", "item", "item.c[-1]", "1", '"x"', "null", "true", "[$.a, 1]"]


@given(
    body=JSON,
    item=JSON,
    name=st.sampled_from([*FUNCTIONS]),
    arguments=st.lists(st.sampled_from(PATHS), min_size=3, max_size=3),
    mark=st.sampled_from(["==", "<", "in", "and", ">=", "!=", "or"]),
)
def test_any_expression_over_any_body_gives_json_or_is_unfit(body, item, name, arguments, mark):
    function = FUNCTIONS[name]
    given_ = (arguments * 3)[: max(function.least, min(3, function.most))]
    for text in (f"{name}({', '.join(given_)})", f"{arguments[0]} {mark} {arguments[1]}"):
        try:
            found = compile_expression(text)(Scope(body=body, item=item))
        except Unfit:
            continue
        msgspec.json.encode(found)
