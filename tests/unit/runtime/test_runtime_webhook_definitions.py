"""Webhooks of a project: presets under what the file says, and faults with their place."""

import pytest

from mailwright.core.errors import InvalidInput
from mailwright.runtime.project.load import load_project

GOOD = """\
title: Bookings
verify: { kind: hmac, secret_env: BOOKINGS_SECRET, header: X-Signature }
events:
  - name: Booking Confirmed
    user_id: text($.guest)
    properties:
      nights: number($.nights)
"""


def faults(text: str, name: str = "bookings") -> str:
    with pytest.raises(InvalidInput) as caught:
        load_project({f"webhooks/{name}.yaml": text})
    return str(caught.value)


def test_a_webhook_is_a_part_of_the_project():
    definition = load_project({"webhooks/bookings.yaml": GOOD}).webhooks["bookings"]
    assert (definition.title, definition.verify.secret_env) == ("Bookings", "BOOKINGS_SECRET")
    assert definition.events[0].name == "Booking Confirmed"


def test_what_the_file_says_goes_before_its_preset():
    text = """\
preset: shopify
verify: { secret_env: [NEW, OLD] }
options: { purpose: offers }
events:
  - { name: Mine, user_id: $.x }
"""
    definition = load_project({"webhooks/shop.yaml": text}).webhooks["shop"]
    assert (definition.verify.secret_env, definition.verify.encoding) == (["NEW", "OLD"], "base64")
    assert (definition.options["purpose"], definition.options["wording"]) == (
        "offers",
        "Shopify, accepts e-mail marketing",
    )
    assert [one.name for one in definition.events][:2] == ["Mine", "Order Completed"]


def test_a_fault_in_an_expression_has_file_line_and_caret():
    told = faults(GOOD.replace("number($.nights)", "numbr($.nights)"))
    assert told == (
        "webhooks/bookings.yaml:7:15: there is no function 'numbr'\n"
        "          nights: numbr($.nights)\n"
        "                  ^^^^^\n"
        "    hint: did you mean 'number'?"
    ).replace("          nights", "          nights")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("user_id: text($.guest)", "user_id: text($.guest"), "4:14|')' is missing"),
        (("    user_id", "    usr_id"), "unknown key 'usr_id'"),
        (("name: Booking Confirmed", "type: track"), "a track event needs its name"),
        (("kind: hmac", "kind: hmak"), "did you mean 'hmac'?"),
        (("secret_env: BOOKINGS_SECRET", "secret: s3cret"), "unknown key 'secret'"),
        (("header: X-Signature", "payload: x"), "hmac needs header"),
        (("title: Bookings", "preset: shoppify"), "did you mean 'shopify'?"),
        (("title: Bookings", "ignore: $.a ="), "nothing begins with '='"),
        (("title: Bookings", "consents: [{email: $.e, purpose: m, granted: true}]"), "a grant needs the wording"),
        (("title: Bookings", "challenge: {parameter: c, token_parameter: t}"), "token_parameter needs token_env"),
        (("verify:", "verfy:"), "verfy"),
    ],
)
def test_faults(change, fault):
    told = faults(GOOD.replace(*change))
    assert fault.partition("|")[2] in told if "|" in fault else fault in told, told
    assert "webhooks/bookings.yaml" in told


def test_a_webhook_that_makes_nothing():
    assert "it makes nothing of a body" in faults("verify: { kind: bearer, secret_env: S }\n")


def test_a_name_that_cannot_be_a_part_of_an_address():
    assert "cannot be a part of an address" in faults(GOOD, name="book ings")
