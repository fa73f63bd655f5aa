"""Rows of Google Analytics 4's export to BigQuery as calls of the Segment spec.

Shopping events come out as the snippet tells them from the page's data layer, so that history and live are one shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import Instant, format_iso
from mailwright.ingest.drafts import Draft, PassedOver

_Data = dict[str, Any]
_Items = list[_Data]

_NOISE = frozenset({"session_start", "first_visit", "first_open", "user_engagement", "scroll"})
"""Events that GA4 makes by itself and that tell nothing a page view does not."""

_TECHNICAL = frozenset(
    {
        "ga_session_id",
        "ga_session_number",
        "engagement_time_msec",
        "session_engaged",
        "engaged_session_event",
        "entrances",
        "debug_mode",
        "page_location",
        "page_referrer",
        "page_title",
        "batch_ordering_id",
        "batch_page_id",
    }
)
COLUMNS: Mapping[str, str] = {
    "event_name": "event",
    "event_timestamp": "timestamp",
    "user_id": "userId",
    "user_pseudo_id": "anonymousId",
    "event_params": "properties, context.page",
    "user_properties": "traits",
    "items": "properties.products",
    "ecommerce": "an order's properties",
    "device": "context.device, context.os, context.locale",
    "geo": "context.location",
    "traffic_source": "context.campaign",
}
"""Columns that are read, and what they fill."""

_MAX_KNOWN = 100_000
_encode = msgspec.json.Encoder(order="sorted").encode


class Ga4Drafts:
    """Drafts of one run; a user's properties are told again only when they changed."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def __call__(self, line: int, row: Mapping[str, Any]) -> Sequence[Draft]:
        """Drafts of a row; it is passed over if it names nobody or tells nothing.

        Raises:
            InvalidInput: ``import.ga4``, if it is no row of such an export.
        """
        name, at = row.get("event_name"), _instant(row.get("event_timestamp"))
        if not isinstance(name, str) or not name or at is None:
            message = "no row of a GA4 export: it needs event_name and event_timestamp"
            raise InvalidInput.one("import.ga4", message, path=f"line {line}")
        params = _flat(row.get("event_params"))
        who = _who(row)
        if not who:
            return PassedOver("with neither user_id nor user_pseudo_id")
        base = {**who, "timestamp": format_iso(at), "context": _context(row, params)}
        message_id = f"ga4-{blake2b(_encode(row), digest_size=16).hexdigest()}"
        drafts = self._identify(row, who, base, message_id)
        if name in _NOISE:
            return drafts or PassedOver(name)
        for number, (event, properties) in enumerate(_events(name, row, params)):
            call = {**base, "messageId": f"{message_id}-{number}" if number else message_id}
            if event == "page_view":
                call |= {"type": "page", "name": params.get("page_title", ""), "properties": properties}
            else:
                call |= {"type": "track", "event": event, "properties": properties}
            drafts.append(Draft("call", call))
        return drafts or PassedOver(f"{name} without items")

    def _identify(self, row: Mapping[str, Any], who: _Data, base: _Data, message_id: str) -> list[Draft]:
        traits = _flat(row.get("user_properties"))
        if not traits:
            return []
        person, told = who.get("userId") or who["anonymousId"], _encode(traits)
        if self._known.get(person) == told:
            return []
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[person] = told
        return [Draft("call", {**base, "type": "identify", "messageId": f"{message_id}-user", "traits": traits})]


# --- events ----------------------------------------------------------------------------------------------------------


def _events(name: str, row: Mapping[str, Any], params: _Data) -> list[tuple[str, _Data]]:
    if name == "page_view":
        return [("page_view", _page(params))]
    if name not in _SHOP:
        return [(name, {key: value for key, value in params.items() if key not in _TECHNICAL})]
    event, shape = _SHOP[name]
    commerce = row.get("ecommerce")
    told = {**_commerce(commerce if isinstance(commerce, Mapping) else {}), **params}
    currency = told.get("currency")
    raw = row.get("items")
    items = [_product(one, currency) for one in raw if isinstance(one, Mapping)] if isinstance(raw, list) else []
    groups = [[one] for one in items] if shape is _one else [items]
    return [(event, _filled({"currency": currency, **shape(told, few)})) for few in groups]


def _product(item: Mapping[str, Any], currency: Any) -> _Data:
    return _filled(
        {
            "product_id": item.get("item_id") or item.get("item_name"),
            "name": item.get("item_name"),
            "brand": item.get("item_brand"),
            "category": item.get("item_category"),
            "variant": item.get("item_variant"),
            "coupon": item.get("coupon"),
            "price": _number(item.get("price")),
            "quantity": _number(item.get("quantity")),
            "position": _number(item.get("item_list_index")),
            "currency": currency,
        }
    )


def _list(p: _Data, items: _Items) -> _Data:
    return {"list_id": p.get("item_list_id"), "category": p.get("item_list_name"), "products": items}


def _cart(p: _Data, items: _Items) -> _Data:
    return {
        "cart_id": p.get("cart_id"),
        "value": _number(p.get("value")),
        "coupon": p.get("coupon"),
        "products": items,
    }


def _one(p: _Data, items: _Items) -> _Data:
    return {**items[0], "value": _number(p.get("value"))}


def _order(p: _Data, items: _Items) -> _Data:
    revenue, shipping, tax = (_number(p.get(name)) for name in ("value", "shipping", "tax"))
    return {
        "order_id": p.get("transaction_id"),
        "affiliation": p.get("affiliation"),
        "revenue": revenue,
        "total": None if revenue is None else revenue + (shipping or 0) + (tax or 0),
        "shipping": shipping,
        "tax": tax,
        "coupon": p.get("coupon"),
        "products": items,
    }


def _promotion(p: _Data, _: _Items) -> _Data:
    names = {
        "promotion_id": "promotion_id",
        "name": "promotion_name",
        "creative": "creative_name",
        "position": "creative_slot",
    }
    return {ours: p.get(theirs) for ours, theirs in names.items()}


def _step(p: _Data, items: _Items) -> _Data:
    return {**_cart(p, items), "payment_method": p.get("payment_type"), "shipping_method": p.get("shipping_tier")}


def _search(p: _Data, _: _Items) -> _Data:
    return {"query": p.get("search_term")}


_SHOP: Mapping[str, tuple[str, Callable[[_Data, _Items], _Data]]] = {
    "view_item": ("Product Viewed", _one),
    "view_item_list": ("Product List Viewed", _list),
    "select_item": ("Product Clicked", _one),
    "add_to_cart": ("Product Added", _one),
    "remove_from_cart": ("Product Removed", _one),
    "add_to_wishlist": ("Product Added to Wishlist", _one),
    "view_cart": ("Cart Viewed", _cart),
    "begin_checkout": ("Checkout Started", _cart),
    "add_shipping_info": ("Checkout Step Completed", _step),
    "add_payment_info": ("Payment Info Entered", _step),
    "purchase": ("Order Completed", _order),
    "refund": ("Order Refunded", _order),
    "search": ("Products Searched", _search),
    "view_search_results": ("Products Searched", _search),
    "view_promotion": ("Promotion Viewed", _promotion),
    "select_promotion": ("Promotion Clicked", _promotion),
}


# --- parts of a row --------------------------------------------------------------------------------------------------


def _who(row: Mapping[str, Any]) -> _Data:
    return _filled({"userId": row.get("user_id"), "anonymousId": row.get("user_pseudo_id")})


def _commerce(told: Mapping[str, Any]) -> _Data:
    revenue = told.get("purchase_revenue")
    return _filled(
        {
            "transaction_id": told.get("transaction_id"),
            "value": revenue if revenue is not None else told.get("refund_value"),
            "shipping": told.get("shipping_value"),
            "tax": told.get("tax_value"),
        }
    )


def _page(params: _Data) -> _Data:
    names = {"url": "page_location", "referrer": "page_referrer", "title": "page_title"}
    return _filled({ours: params.get(theirs) for ours, theirs in names.items()})


def _context(row: Mapping[str, Any], params: _Data) -> _Data:
    device, geo, traffic = (_object(row.get(name)) for name in ("device", "geo", "traffic_source"))
    parts = {
        "page": _page(params),
        "device": _filled({"type": device.get("category"), "model": device.get("mobile_model_name")}),
        "os": _filled({"name": device.get("operating_system"), "version": device.get("operating_system_version")}),
        "location": _filled({name: geo.get(name) for name in ("country", "region", "city")}),
        "campaign": _filled({name: traffic.get(name) for name in ("source", "medium", "name")}),
        "locale": device.get("language"),
    }
    return _filled(parts)


def _flat(params: Any) -> _Data:
    """``[{"key": ..., "value": {"string_value": ...}}]`` as key -> value."""
    found: _Data = {}
    for one in params if isinstance(params, list) else []:
        value = _object(_object(one).get("value"))
        for kind in ("string_value", "int_value", "double_value", "float_value"):
            if value.get(kind) is not None:
                number = kind != "string_value"
                found[str(one.get("key"))] = _number(value[kind]) if number else value[kind]
                break
    return found


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _filled(data: _Data) -> _Data:
    """Without what says nothing; BigQuery writes ``(not set)`` for it."""
    return {key: value for key, value in data.items() if is_filled(value) and value != {}}


def is_filled(value: Any) -> bool:
    """Whether a value says something."""
    return value not in (None, "", "(not set)")


def has_own_shape(event: str) -> bool:
    """Whether an event's parameters are not just its properties."""
    return event in _SHOP or event in _NOISE or event == "page_view"


def _number(value: Any) -> int | float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        number = float(str(value))
    except ValueError:
        return None
    return int(number) if number.is_integer() else number


def _instant(value: Any) -> Instant | None:
    """Microseconds since 1970, as a number or, as BigQuery writes large ones in JSON, as text."""
    text = str(value)
    return Instant(int(text)) if text.isdecimal() else None
