"""The presets: published shapes become the right calls, and no body at all makes one of them fail."""

import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mail_service_bodies import OWN
from webhook_bodies import (
    INTERCOM,
    ONETRUST_RECEIPT,
    PURPOSE,
    SHOPIFY_CART,
    SHOPIFY_CHECKOUT,
    SHOPIFY_CUSTOMER,
    SHOPIFY_ORDER,
    SHOPIFY_REDACT,
    SHOPIFY_REFUND,
    STRIPE,
    TRUSTARC,
    ZENDESK,
    onetrust,
)

from mailwright.ingest.webhooks.definitions import WebhookDefinition
from mailwright.ingest.webhooks.mapping import Mapped, Mapper
from mailwright.ingest.webhooks.verification import Request
from mailwright.runtime.presets import preset_names, preset_text
from mailwright.runtime.project.documents import parse_yaml
from mailwright.runtime.project.outside import webhook_of

MAIL_SERVICES = ["mailgun", "mandrill", "postmark", "sendgrid", "ses"]
PURPOSES = f"options: {{ purposes: {{ {PURPOSE}: marketing, newsletter: marketing }} }}\n"


def definition(name: str, more: str = "") -> WebhookDefinition:
    return webhook_of(name, parse_yaml(f"webhooks/{name}.yaml", f"preset: {name}\n{more}"))


def mapped(name: str, body: object, more: str = "", **headers: str) -> Mapped:
    told = {key.replace("_", "-"): value for key, value in headers.items()}
    found = Mapper(name, definition(name, more)).map(Request(body=json.dumps(body).encode(), headers=told))
    assert found.refused == []
    return found


def shopify(topic: str, body: object) -> Mapped:
    return mapped("shopify", body, x_shopify_topic=topic, x_shopify_webhook_id="w-1")


def test_there_are_the_presets():
    assert preset_names("webhooks") == sorted(
        [*MAIL_SERVICES, "intercom", "onetrust", "shopify", "stripe", "trustarc", "zendesk"]
    )


def test_shopify_order():
    [order] = shopify("orders/create", SHOPIFY_ORDER).events
    assert order["event"] == "Order Completed"
    assert (order["userId"], order["messageId"]) == ("115310627314723954", "shopify-order-820982911946154508")
    assert order["timestamp"] == "2026-11-20T23:00:01Z"
    assert order["context"] == {
        "ip": "203.0.113.7",
        "userAgent": "Mozilla/5.0",
        "locale": "en",
        "traits": {"email": "jon@shop.example"},
        "externalIds": [{"type": "shopify_order", "id": "820982911946154508"}],
    }
    properties = order["properties"]
    assert properties["products"][0] == {
        "product_id": "632910392", "variant_id": "808950810", "sku": "IPOD2008PINK", "name": "IPod Nano - 8GB",
        "variant": "Pink", "brand": "Apple", "price": 199.0, "quantity": 1,
    }  # fmt: skip
    del properties["products"]
    assert properties == {
        "order_id": "820982911946154508", "order_name": "#9999", "checkout_id": "c1-checkout", "affiliation": "Shopify",
        "total": 212.0, "revenue": 200.0, "subtotal": 220.0, "shipping": 10.0, "tax": 2.0, "discount": 20.0,
        "coupon": "AUTUMN", "currency": "USD", "status": "paid",
    }  # fmt: skip


def test_shopify_payment_and_cancellation_and_refund():
    [paid] = shopify("orders/paid", SHOPIFY_ORDER).events
    assert (paid["event"], paid["properties"]["status"]) == ("Order Updated", "paid")
    gone = SHOPIFY_ORDER | {"cancelled_at": "2026-11-21T00:00:00Z", "cancel_reason": "customer"}
    [cancelled] = shopify("orders/cancelled", gone).events
    assert (cancelled["event"], cancelled["properties"]["reason"]) == ("Order Cancelled", "customer")
    [refund] = shopify("refunds/create", SHOPIFY_REFUND).events
    assert refund["event"] == "Order Refunded"
    assert refund["context"]["externalIds"] == [{"type": "shopify_order", "id": "820982911946154508"}]
    assert (refund["properties"]["total"], refund["properties"]["products"][0]["quantity"]) == (199.0, 1)
    assert len({one["messageId"] for one in (paid, cancelled, refund)}) == 3


@pytest.mark.parametrize("topic", ["carts/create", "carts/update"])
def test_shopify_cart(topic):
    [cart] = shopify(topic, SHOPIFY_CART).events
    assert (cart["event"], cart["anonymousId"]) == ("Cart Viewed", "shopify-cart-c1-cart")
    assert cart["messageId"].startswith("shopify-w-1-")
    assert [line["quantity"] for line in cart["properties"]["products"]] == [1, 2]


def test_shopify_checkout_joins_the_cart_to_the_person():
    [started] = shopify("checkouts/create", SHOPIFY_CHECKOUT).events
    assert (started["event"], started["anonymousId"]) == ("Checkout Started", "shopify-cart-c1-cart")
    assert started["context"]["traits"] == {"email": "jon@shop.example"}
    assert started["properties"]["url"] == "https://shop.example/recover"
    [step] = shopify("checkouts/update", SHOPIFY_CHECKOUT).events
    assert step["event"] == "Checkout Step Completed"


def test_shopify_customer_with_consent():
    found = shopify("customers/update", SHOPIFY_CUSTOMER)
    [customer] = found.events
    assert (customer["type"], customer["userId"]) == ("identify", "706405506930370084")
    traits = customer["traits"]
    assert (traits["email"], traits["phone"], traits["firstName"]) == ("bob@shop.example", "+1 502 555 0142", "Bob")
    assert (traits["tags"], traits["shopify_spent"], traits["address"]["country"]) == (["loyal", "vip"], 301.2, "US")
    assert found.consents == [
        {
            "email": "bob@shop.example",
            "purpose": "marketing",
            "wording": "Shopify, accepts e-mail marketing, confirmed_opt_in",
            "granted": True,
            "at": "2026-11-20T15:00:00Z",
        }
    ]
    gone = SHOPIFY_CUSTOMER | {"email_marketing_consent": {"state": "unsubscribed"}}
    assert shopify("customers/update", gone).consents[0]["granted"] is False
    pending = SHOPIFY_CUSTOMER | {"email_marketing_consent": {"state": "pending"}}
    assert shopify("customers/update", pending).consents == []


@pytest.mark.parametrize("address", [None, {}, {"address1": None, "phone": "+1 502 555 0142"}])
def test_a_shopify_customer_without_an_address_tells_none(address):
    [customer] = shopify("customers/update", SHOPIFY_CUSTOMER | {"default_address": address}).events
    assert "address" not in customer["traits"]
    [stripe] = mapped("stripe", {"id": "e", "type": "customer.created", "data": {"object": {"id": "c"}}}).events
    assert "traits" not in stripe


def test_a_shopify_cart_that_is_empty_says_so():
    [cart] = shopify("carts/update", SHOPIFY_CART | {"line_items": []}).events
    assert cart["properties"]["products"] == []


def test_shopify_requests_for_data_are_noted_and_the_rest_is_passed_over():
    [asked] = shopify("customers/redact", SHOPIFY_REDACT).events
    assert (asked["event"], asked["userId"]) == ("Erasure Requested", "191167")
    [data] = shopify("customers/data_request", SHOPIFY_REDACT | {"data_request": {"id": 9}}).events
    assert (data["event"], data["properties"]["request_id"]) == ("Data Requested", "9")
    assert not shopify("shop/redact", {}).ignored
    assert shopify("themes/create", {"id": 1}).ignored


STRIPE_EVENTS = {
    "checkout.session.completed": ("Order Completed", {"order_id": "6735", "total": 21.98, "shipping": 1.0}),
    "payment_intent.succeeded": ("Payment Succeeded", {"total": 1099.0, "currency": "JPY", "method": "card"}),
    "charge.refunded": ("Order Refunded", {"order_id": "6735", "total": 10.0, "complete": False}),
    "invoice.paid": ("Invoice Paid", {"invoice_id": "in_1", "total": 9.0}),
    "customer.subscription.deleted": ("Subscription Ended", {"plan": "Box", "status": "canceled"}),
}


@pytest.mark.parametrize("kind", STRIPE_EVENTS)
def test_stripe(kind):
    [event] = mapped("stripe", STRIPE[kind]).events
    name, properties = STRIPE_EVENTS[kind]
    assert event["event"] == name
    assert event["properties"].items() >= properties.items()
    assert event["context"]["externalIds"] == [{"type": "stripe_customer", "id": "cus_1"}]
    assert (event["messageId"], event["timestamp"]) == (STRIPE[kind]["id"], "2026-11-18T11:06:40Z")


def test_stripe_customer():
    [customer] = mapped("stripe", STRIPE["customer.updated"]).events
    assert (customer["type"], customer["userId"]) == ("identify", "u-42")
    assert customer["traits"]["address"] == {
        "street": "Weg 1", "city": "Berlin", "postalCode": "10115", "country": "DE"
    }  # fmt: skip


def test_zendesk_tickets_and_people():
    [opened] = mapped("zendesk", ZENDESK["opened"]).events
    assert (opened["event"], opened["context"]["externalIds"][0]["id"]) == ("Support Ticket Opened", "8447388090494")
    assert opened["properties"].items() >= {"ticket_id": "5158", "priority": "low", "tags": ["printer"]}.items()
    [solved] = mapped("zendesk", ZENDESK["solved"]).events
    assert solved["event"] == "Support Ticket Solved"
    reopened = mapped("zendesk", ZENDESK["reopened"])
    assert (reopened.events, reopened.ignored) == ([], False)
    [rated] = mapped("zendesk", ZENDESK["trigger"]).events
    assert (rated["event"], rated["userId"]) == ("Support Ticket Rated", "u-1")
    assert rated["properties"] == {"ticket_id": "5158", "rating": "good", "has_comment": True}
    [person] = mapped("zendesk", ZENDESK["user"]).events
    assert (person["type"], person["traits"]) == ("identify", {"email": "ada@shop.example"})


def test_intercom_conversations():
    for kind, name in (("opened", "Opened"), ("solved", "Solved"), ("rated", "Rated")):
        [event] = mapped("intercom", INTERCOM[kind]).events
        assert (event["event"], event["userId"]) == (f"Support Ticket {name}", "u-1")
        assert event["context"]["traits"] == {"email": "ada@shop.example"}
        assert event["properties"]["ticket_id"] == "1911149811"
    assert event["properties"]["rating"] == "5"
    gone = mapped("intercom", INTERCOM["unsubscribed"])
    [withdrawn] = gone.consents
    assert (withdrawn["email"], withdrawn["purpose"], withdrawn["granted"]) == ("ada@shop.example", "marketing", False)
    assert gone.suppressions == []
    assert not mapped("intercom", INTERCOM["ping"]).ignored


def test_onetrust_and_trustarc_consents():
    for status, granted in (("ACTIVE", True), ("WITHDRAWN", False)):
        found = mapped("onetrust", onetrust(status, "1795000000"), PURPOSES)
        assert found.consents == [
            {
                "email": "ada@shop.example",
                "purpose": "marketing",
                "wording": "OneTrust consent receipt 1afcc0cb",
                "granted": granted,
                "at": "2026-11-18T11:06:40Z",
            }
        ]
    assert mapped("onetrust", onetrust("PENDING", "1795000000"), PURPOSES).consents == []
    [receipt] = mapped("onetrust", ONETRUST_RECEIPT, PURPOSES).consents
    assert (receipt["purpose"], receipt["granted"]) == ("marketing", False)
    [told] = mapped("trustarc", TRUSTARC, PURPOSES).consents
    assert (told["purpose"], told["granted"], told["at"]) == ("marketing", True, "2026-11-18T11:06:40Z")


BODIES = {
    "shopify": [SHOPIFY_ORDER, SHOPIFY_REFUND, SHOPIFY_CART, SHOPIFY_CHECKOUT, SHOPIFY_CUSTOMER, SHOPIFY_REDACT],
    "stripe": [*STRIPE.values()],
    "zendesk": [*ZENDESK.values()],
    "intercom": [*INTERCOM.values()],
    "onetrust": [onetrust("ACTIVE", "1"), ONETRUST_RECEIPT],
    "trustarc": [TRUSTARC],
}
TOPICS = ["orders/create", "refunds/create", "carts/update", "checkouts/create", "customers/update", "customers/redact"]
MAPPERS = {name: Mapper(name, definition(name, PURPOSES)) for name in BODIES}
ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.just([])
    | st.just({})
    | st.just([[1], {"a": 1}])
)


def places(value: object, at: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, one in inner for place in places(one, (*at, key)))]


def replaced(value: object, at: tuple, new: object) -> object:
    if not at:
        return new
    key, *rest = at
    if isinstance(value, dict):
        return {**value, key: replaced(value[key], tuple(rest), new)}
    return [replaced(one, tuple(rest), new) if n == key else one for n, one in enumerate(value)]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_body_makes_a_preset_fail(data):
    name = data.draw(st.sampled_from([*BODIES]))
    body = data.draw(st.sampled_from(BODIES[name]))
    for _ in range(data.draw(st.integers(0, 3))):
        body = replaced(body, data.draw(st.sampled_from(places(body))), data.draw(ODD))
    headers = {"x-shopify-topic": data.draw(st.sampled_from(TOPICS))}
    found = MAPPERS[name].map(Request(body=msgspec.json.encode(body), headers=headers))
    for entries in (found.events, found.consents, found.suppressions, found.items):
        msgspec.json.encode(entries)
    assert all(one.reason for one in found.refused)


@pytest.mark.parametrize("name", preset_names("webhooks"))
def test_presets_say_what_they_are(name):
    assert definition(name, OWN.get(name, "")).title
    assert "\t" not in preset_text("webhooks", name)
