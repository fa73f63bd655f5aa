"""Answers of forms: what is taken, what is refused, what was probably meant."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.ingest.forms.answers import Means
from mailwright.ingest.forms.checks import check_address, check_field, suggested
from mailwright.ingest.forms.definitions import AddressRules, FieldDefinition, FormDefinition
from mailwright.ingest.forms.places import country_names
from mailwright.ingest.forms.texts import Texts

RULES, SAY = AddressRules(), Texts()
ASKED = Means(takes_mail=lambda _domain: True)


def _form(**field: Any) -> FormDefinition:
    fields = [
        {"trait": "email", "label": "E-mail", "type": "email", "required": True},
        {"trait": "country", "label": "Country", "type": "country"},
        {"trait": "x", "label": "X", **field},
    ]
    return msgspec.convert({"title": "T", "fields": fields, "country": "DE"}, FormDefinition)


def _check(answer: Any, others: dict[str, Any] | None = None, **field: Any) -> tuple[Any, str]:
    form = _form(**field)
    question = form.field("x")
    assert question is not None
    found = check_field(form, question, answer, others or {}, Means())
    return found.value, found.fault


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("anna@gmail.com", "anna@gmail.com"),
        ("  Anna.B+news@Gmail.COM ", "Anna.B+news@gmail.com"),
        ("anna@bücher.de", "anna@bücher.de"),
    ],
)
def test_good_addresses_keep_their_local_part_as_written(text: str, value: str) -> None:
    found = check_address(text.strip(), RULES, ASKED, SAY)
    assert (found.value, found.fault) == (value, "")


@pytest.mark.parametrize(
    "text",
    ["anna", "anna@", "@gmail.com", "a b@gmail.com", "anna@gmail", "a@b@gmail.com", "anna@-x.com", "an..na@gmail.com",
     "anna@gmail.com\r\nBcc: x@y.com", "änna@gmail.com", "anna@localhost", "anna@example.test", "anna@[127.0.0.1]"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    assert check_address(text, RULES, ASKED, SAY).fault


@pytest.mark.parametrize("domain", ["mailinator.com", "sub.mailinator.com", "MAILINATOR.COM"])
def test_throw_away_domains_are_refused_unless_the_form_allows_them(domain: str) -> None:
    ask = f"x@{domain}"
    assert "throw-away" in check_address(ask, RULES, ASKED, SAY).fault
    assert not check_address(ask, AddressRules(allow=("mailinator.com",)), ASKED, SAY).fault
    assert not check_address(ask, AddressRules(disposable="allow"), ASKED, SAY).fault


def test_a_project_adds_domains_that_it_refuses() -> None:
    assert check_address("a@rival.com", AddressRules(refuse=("rival.com",)), ASKED, SAY).fault


@pytest.mark.parametrize(("role", "fault", "warning"), [("allow", 0, 0), ("warn", 0, 1), ("refuse", 1, 0)])
def test_addresses_of_offices_are_treated_as_declared(role: Any, fault: bool, warning: bool) -> None:
    found = check_address("Info@shop.com", AddressRules(role=role), ASKED, SAY)
    assert (bool(found.fault), bool(found.warning)) == (fault, warning)


@pytest.mark.parametrize(("answer", "refused"), [(True, False), (False, True), (None, False)])
def test_a_domain_is_refused_only_if_dns_says_that_it_takes_no_mail(answer: bool | None, refused: bool) -> None:
    assert bool(check_address("a@shop.com", RULES, Means(takes_mail=lambda _domain: answer), SAY).fault) is refused
    assert not check_address("a@shop.com", AddressRules(dns=False), Means(takes_mail=lambda _domain: answer), SAY).fault


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a@gmial.com", "a@gmail.com"),
        ("a@gmail.con", "a@gmail.com"),
        ("a@hotmial.com", "a@hotmail.com"),
        ("a@yaho.com", "a@yahoo.com"),
        ("a@gmxx.de", "a@gmx.de"),
        ("a@gmail.com", ""),
        ("a@shop.example.org", ""),
        ("a@wb.de", "a@web.de"),
        ("a@ab.de", ""),
        ("gmial.com", ""),
        ("a@", ""),
    ],
)
def test_a_slip_in_the_domain_is_seen(typed: str, meant: str) -> None:
    assert suggested(typed) == meant


@pytest.mark.parametrize(
    ("country", "code", "value"),
    [
        ("DE", "10115", "10115"), ("DE", "1011", None), ("DE", "00123", None), ("DE", "١٠١١٥", None),
        ("GB", "sw1a 1aa", "SW1A 1AA"), ("GB", "12345", None), ("NL", "1012ab", "1012AB"),
        ("US", "10001-1234", "10001-1234"),
        ("US", "1000", None), ("", "10115", "10115"), ("", "SW1A 1AA", None), ("ZW", "anything", "ANYTHING"),
        ("AT", "0123", None),
        ("SK", "811 01", "811 01"), ("FR", "75001\n", "75001"),
    ],
)  # fmt: skip
def test_postal_codes_have_their_countrys_shape(country: str, code: str, value: str | None) -> None:
    assert _check(code, {"country": country}, type="postal_code")[0] == value


@pytest.mark.parametrize(
    ("text", "good"),
    [("Köln", True), ("L'Aquila", True), ("Saint-Étienne (42)", False), ("123", False), ("aaaa", False),
     ("x@y.z", False), ("Å", True), ("http://spam", False), ("東京", True), ("<b>", False),
     ("Frankfurt a. M.", True)],
)  # fmt: skip
def test_cities_are_names(text: str, good: bool) -> None:
    assert bool(_check(text, type="city")[0]) is good


@pytest.mark.parametrize(
    ("field", "answer", "value"),
    [
        ({"type": "phone"}, "030 901820", "+4930901820"),
        ({"type": "phone"}, "+44 20 7946 0958", "+442079460958"),
        ({"type": "phone"}, "12", None),
        ({"type": "phone"}, "+999 123456", None),
        ({"type": "rating"}, "10", 10),
        ({"type": "rating"}, 0, 0),
        ({"type": "rating"}, "11", None),
        ({"type": "rating"}, "٣", None),
        ({"type": "rating"}, True, None),
        ({"type": "number", "low": 1, "high": 9}, "2,5", 2.5),
        ({"type": "number", "low": 1}, "0", None),
        ({"type": "number"}, "nan", None),
        ({"type": "number"}, "1e400", None),
        ({"type": "number"}, float("inf"), None),
        ({"type": "date", "low": "1900-01-01"}, "1899-12-31", None),
        ({"type": "date", "high": "2020-01-01"}, "2020-01-02", None),
        ({"type": "date"}, "2024-02-29", "2024-02-29"),
        ({"type": "date"}, "2023-02-29", None),
        ({"type": "country"}, "de", "DE"),
        ({"type": "country"}, "XX", None),
        ({"type": "text"}, "  hi ", "hi"),
        ({"type": "text"}, "a\x00b", None),
        ({"type": "text"}, "a\ud800", None),
        ({"type": "text", "max_chars": 2}, "abc", None),
        ({"type": "text"}, {"a": 1}, None),
        ({"type": "choice", "options": [{"value": "a"}]}, "a", "a"),
        ({"type": "choice", "options": [{"value": "a"}]}, "b", None),
        ({"type": "choices", "options": [{"value": "a"}, {"value": "b"}]}, ["b", "a", "b"], ["b", "a"]),
        ({"type": "choices", "options": [{"value": "a"}]}, ["a", "c"], None),
        ({"type": "choices", "options": [{"value": "a"}]}, [{"x": 1}], None),
    ],
)  # fmt: skip
def test_each_type_takes_what_it_means(field: dict[str, Any], answer: Any, value: Any) -> None:
    assert _check(answer, **field)[0] == value


@pytest.mark.parametrize("field_type", ["text", "date", "phone", "city", "postal_code", "rating", "number", "country"])
def test_what_is_left_empty_is_a_fault_only_if_it_is_required(field_type: str) -> None:
    assert _check("", type=field_type) == (None, "")
    assert _check(None, type=field_type, required=True)[1]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
)
@settings(max_examples=60, deadline=None)
def test_no_answer_makes_a_check_fail(answer: Any) -> None:
    for field_type in ("text", "date", "phone", "city", "postal_code", "rating", "number", "country"):
        value, fault = _check(answer, type=field_type)
        assert value is None or not fault
    options = {"options": [{"value": "a"}]}
    for field_type in ("choice", "choices"):
        _check(answer, type=field_type, **options)
    form = _form()
    check_field(form, form.fields[0], answer, {"country": answer}, Means())


def test_countries_have_names_in_the_forms_language() -> None:
    assert country_names("de")["DE"] == "Deutschland"
    assert country_names("xx-nonsense")["DE"] == "Germany"
    assert set(country_names("de")) >= {"DE", "FR", "US", "ZA"}
    assert "EU" not in country_names("en")


def test_a_field_knows_its_options() -> None:
    field = msgspec.convert(
        {"trait": "a", "label": "A", "type": "choice", "options": [{"value": "x"}]}, FieldDefinition
    )
    assert field.option("x") is not None
    assert field.option("y") is None
