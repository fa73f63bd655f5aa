"""Events of the Segment spec that a project may declare at a stroke: e-commerce (version 2) and e-mail.

Names and types are those that the libraries and shops of that world send; which ones are required is ours: what an
event says nothing without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from mailwright.ingest.typed_values import ValueType

Standard = Literal["ecommerce", "email"]


class StandardEvent(NamedTuple):
    """Property -> type, and the properties that must be sent."""

    properties: Mapping[str, ValueType]
    required: tuple[str, ...]


def _event(*names: str, required: str = "", **others: ValueType) -> StandardEvent:
    """An event: properties of text by name, those of other types as keywords; `required` are names with blanks."""
    properties: dict[str, ValueType] = dict.fromkeys(names, "text")
    return StandardEvent(properties | others, tuple(required.split()))


_PRODUCT = ("product_id", "sku", "category", "name", "brand", "variant", "coupon", "currency", "url", "image_url")
_NUMBERS: Mapping[str, ValueType] = {"price": "number", "quantity": "number", "position": "number", "value": "number"}
_ORDER = ("order_id", "checkout_id", "affiliation", "coupon", "currency")
_SUMS: Mapping[str, ValueType] = {
    "total": "number",
    "subtotal": "number",
    "revenue": "number",
    "value": "number",
    "shipping": "number",
    "tax": "number",
    "discount": "number",
    "products": "list",
}
AMOUNTS = ("price", *(name for name, kind in _SUMS.items() if kind == "number"))
"""Properties that are amounts of money by their standard names."""

_COUPON = ("order_id", "cart_id", "coupon_id", "coupon_name")
_PROMOTION = ("promotion_id", "creative", "name", "position")
_STEP = _event("checkout_id", "shipping_method", "payment_method", step="number")
_PAID = _event("checkout_id", "order_id", "shipping_method", "payment_method", step="number")
_LIST = ("list_id", "category")
_ONE_PRODUCT = _event(*_PRODUCT, **_NUMBERS, required="product_id")
_IN_CART = _event(*_PRODUCT, "cart_id", **_NUMBERS, required="product_id")
_ON_LIST = _event(*_PRODUCT, "wishlist_id", "wishlist_name", **_NUMBERS, required="product_id")
_WHOLE_ORDER = _event(*_ORDER, **_SUMS, required="order_id products")

_ECOMMERCE: Mapping[str, StandardEvent] = {
    # looking around
    "Products Searched": _event("query", required="query"),
    "Product List Viewed": _event(*_LIST, products="list", required="products"),
    "Product List Filtered": _event(*_LIST, filters="list", sorts="list", products="list"),
    "Promotion Viewed": _event(*_PROMOTION, required="promotion_id"),
    "Promotion Clicked": _event(*_PROMOTION, required="promotion_id"),
    "Product Clicked": _ONE_PRODUCT,
    "Product Viewed": _ONE_PRODUCT,
    # cart and order
    "Product Added": _IN_CART,
    "Product Removed": _IN_CART,
    "Cart Viewed": _event("cart_id", products="list", required="products"),
    "Checkout Started": _event(*_ORDER, **_SUMS, required="products"),
    "Checkout Step Viewed": _STEP,
    "Checkout Step Completed": _STEP,
    "Payment Info Entered": _PAID,
    "Order Completed": _WHOLE_ORDER,
    "Order Updated": _WHOLE_ORDER,
    "Order Refunded": _event(*_ORDER, **_SUMS, required="order_id"),
    "Order Cancelled": _event(*_ORDER, **_SUMS, required="order_id"),
    # coupons
    "Coupon Entered": _event(*_COUPON, required="coupon_id"),
    "Coupon Applied": _event(*_COUPON, discount="number", required="coupon_id"),
    "Coupon Denied": _event(*_COUPON, "reason", required="coupon_id"),
    "Coupon Removed": _event(*_COUPON, discount="number", required="coupon_id"),
    # lists of wishes, sharing, reviews
    "Product Added to Wishlist": _ON_LIST,
    "Product Removed from Wishlist": _ON_LIST,
    "Wishlist Product Added to Cart": _event(
        *_PRODUCT, "cart_id", "wishlist_id", "wishlist_name", **_NUMBERS, required="product_id"
    ),
    "Product Shared": _event(
        *_PRODUCT, "share_via", "share_message", "recipient", price="number", required="product_id"
    ),
    "Cart Shared": _event("share_via", "share_message", "recipient", "cart_id", products="list", required="products"),
    "Product Reviewed": _event("product_id", "review_id", "review_body", rating="number", required="product_id"),
}

_MAIL = ("email_id", "email_subject", "campaign_id", "campaign_name")
_ONE_MAIL = _event(*_MAIL, required="email_id")

_EMAIL: Mapping[str, StandardEvent] = {
    "Email Delivered": _ONE_MAIL,
    "Email Opened": _ONE_MAIL,
    "Email Link Clicked": _event(*_MAIL, "link_id", "link_url", required="email_id"),
    "Email Bounced": _ONE_MAIL,
    "Email Marked as Spam": _ONE_MAIL,
    "Unsubscribed": _event(*_MAIL, "list_id", "list_name"),
}

STANDARD: Mapping[Standard, Mapping[str, StandardEvent]] = {"ecommerce": _ECOMMERCE, "email": _EMAIL}
"""Name of a set -> its events."""
