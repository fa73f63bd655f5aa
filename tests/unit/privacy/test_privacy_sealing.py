"""Sealing keeps personal text out of sight, exactly, and hashes join one person's spellings."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import Corrupt, InvalidInput
from mailwright.privacy import DEFAULT_PERSONAL, KeyRing, PersonalNames, Sealer, normalise

RING = KeyRing.generate()
SEALER = Sealer(RING, DEFAULT_PERSONAL | {"birthday", "card.number"})


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(DEFAULT_PERSONAL)), text=st.text())
def test_a_sealed_text_comes_back_exactly(name, text):
    sealed = SEALER.seal(name, text)
    assert SEALER.is_sealed(sealed)
    assert SEALER.unseal(json.loads(json.dumps(sealed))) == text
    assert sealed["hash"] == SEALER.hash(name, text)


def test_a_sealed_object_hides_its_text_and_differs_each_time():
    first, second = (SEALER.seal("email", "anna@example.com") for _ in range(2))
    assert first["sealed"] != second["sealed"]
    assert first["hash"] == second["hash"]
    assert first["domain"] == "example.com"
    assert set(first) == {"sealed", "hash", "domain"}
    assert b"anna" not in base64.b64decode(first["sealed"])
    assert len(first["hash"]) == 32


@pytest.mark.parametrize(("value", "text"), [(491234, "491234"), (True, "true"), ({"first": "A"}, '{"first":"A"}')])
def test_what_is_no_text_is_sealed_as_its_json(value, text):
    assert SEALER.unseal(SEALER.seal("phone", value)) == text


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_noticed(data):
    sealed = SEALER.seal("email", "anna@example.com")
    box = bytearray(base64.b64decode(sealed["sealed"]))
    place = data.draw(st.integers(0, len(box) - 1))
    box[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Corrupt, match="cannot be opened"):
        SEALER.unseal({**sealed, "sealed": base64.b64encode(box).decode()})


@settings(max_examples=50, deadline=None)
@given(box=st.binary(max_size=60))
def test_arbitrary_boxes_are_refused(box):
    with pytest.raises(Corrupt):
        SEALER.unseal({"sealed": base64.b64encode(box).decode(), "hash": "0" * 32})


def test_a_box_opens_only_beside_its_own_hash_and_with_its_own_keys():
    anna, bert = SEALER.seal("email", "anna@example.com"), SEALER.seal("email", "bert@example.com")
    with pytest.raises(Corrupt):
        SEALER.unseal({**anna, "hash": bert["hash"]})
    with pytest.raises(Corrupt):
        Sealer(KeyRing.generate()).unseal(anna)
    with pytest.raises(InvalidInput):
        SEALER.unseal("anna@example.com")


def test_a_rotated_data_key_still_opens_old_values_and_hashes_stay():
    rotated = Sealer(KeyRing(data={**RING.data, 2: bytes(32)}, hash=RING.hash, links=RING.links))
    old = SEALER.seal("email", "anna@example.com")
    new = rotated.seal("email", "anna@example.com")
    assert rotated.unseal(old) == rotated.unseal(new) == "anna@example.com"
    assert old["hash"] == new["hash"]
    with pytest.raises(Corrupt, match=r"data-2\.key"):
        SEALER.unseal(new)


@pytest.mark.parametrize(
    ("kind", "written", "normal"),
    [
        ("email", " Anna.B+Shop@Example.COM ", "anna.b+shop@example.com"),
        ("email", "anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("email", "anna@BÜCHER.example.", "anna@xn--bcher-kva.example"),
        ("email", "no address", "no address"),
        ("phone", "+49 (30) 123-456", "+4930123456"),
        ("phone", "0049 30 123456", "+4930123456"),
        ("phone", "030/123456", "030123456"),
        ("ip", "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("ip", "not one", "not one"),
        ("name", " Anna ", "Anna"),
        ("name", "Zoe\u0308", "Zo\u00eb"),
    ],
)
def test_normal_forms(kind, written, normal):
    assert normalise(kind, written) == normal
    assert SEALER.hash(kind, written) == SEALER.hash(kind, normal)


def test_kinds_and_installations_do_not_share_hashes():
    assert SEALER.hash("first_name", "Anna") != SEALER.hash("last_name", "Anna")
    assert SEALER.hash("email", "a@example.com") != Sealer(KeyRing.generate()).hash("email", "a@example.com")
    assert SEALER.seal("unverified_email", "a@example.com")["hash"] == SEALER.hash("email", "a@example.com")


def sealed_paths(value, path=()):
    """Where sealed values are."""
    if SEALER.is_sealed(value):
        return {path}
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {found for key, each in inner for found in sealed_paths(each, (*path, key))}


@pytest.mark.parametrize(
    ("part", "data", "paths"),
    [
        ("traits", {"email": "a@example.com", "plan": "pro"}, {("email",)}),
        ("traits", {"name": "Anna", "company": {"name": "Acme"}}, {("name",)}),
        ("traits", {"address": {"street": "Main 1", "city": "Ulm"}}, {("address", "street")}),
        ("traits", {"address.street": "Main 1", "street": "x"}, {("address.street",)}),
        ("traits", {"email": None, "phone": ""}, set()),
        ("traits", {"card": {"number": 4111}, "number": 5}, {("card", "number")}),
        ("traits", {"unverified_email": "a@example.com"}, {("unverified_email",)}),
        ("properties", {"name": "Shirt", "products": [{"name": "Shirt"}]}, set()),
        ("properties", {"customer": [{"email": "a@example.com"}, 1]}, {("customer", 0, "email")}),
        ("properties", {"deep": [[{"birthday": "2000-01-01"}]]}, {("deep", 0, 0, "birthday")}),
        ("context", {"ip": "10.0.0.1", "app": {"name": "Shop"}}, {("ip",)}),
        ("context", {"traits": {"name": "Anna", "email": "a@example.com"}}, {("traits", "name"), ("traits", "email")}),
        ("context", {"campaign": {"name": "May"}, "page": {"url": "/"}}, set()),
    ],
)
def test_which_fields_are_sealed(part, data, paths):
    before = json.dumps(data)
    sealed = SEALER.seal_fields(part, data)
    assert sealed_paths(sealed) == paths
    assert json.dumps(data) == before
    assert (sealed is data) == (not paths)


def test_an_object_that_looks_sealed_is_not_taken_from_outside():
    with pytest.raises(InvalidInput, match="reserved"):
        SEALER.seal_fields("traits", {"note": {"sealed": "AA==", "hash": "0" * 32}})
    kept = {"box": {"sealed": True}, "other": {"sealed": "yes"}}
    assert SEALER.seal_fields("properties", kept) is kept
    forged = SEALER.seal_fields("traits", {"email": {"sealed": "AA==", "hash": "0" * 32}})
    assert SEALER.unseal(forged["email"]).startswith('{"sealed"')


@pytest.mark.parametrize("name", ["", "a..b", ".a", "x" * 256])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(InvalidInput, match="no field name"):
        PersonalNames({name})


def test_whatever_is_sealed_inside_is_opened_and_the_rest_left_alone():
    mine, other = Sealer(KeyRing.generate()), Sealer(KeyRing.generate())
    plain = {"a": [1, {"b": None}], "c": "x"}
    assert mine.opened(plain) is plain
    address = {"street": mine.seal("address.street", "Elm 1"), "city": "York", "list": [mine.seal("name", "Zoë"), 2]}
    assert mine.opened({"home": address}) == {"home": {"street": "Elm 1", "city": "York", "list": ["Zoë", 2]}}
    assert address["street"] != "Elm 1"
    assert other.opened({"home": address}, "?") == {"home": {"street": "?", "city": "York", "list": ["?", 2]}}
    with pytest.raises(Corrupt):
        other.opened([address])
