"""What the shop of the snippet's tests sells, and a page that shows everything at once."""

from __future__ import annotations

import json

from snippet_shop import data_layer

SHOE = {"product_id": "42", "name": "Blue shoe", "price": 59.9, "currency": "EUR", "category": "Shoes"}
LD_JSON = {
    "@context": "https://schema.org",
    "@type": "Product",
    "productID": "42",
    "sku": "S-42",
    "name": "Blue shoe",
    "brand": {"@type": "Brand", "name": "Walk"},
    "category": "Shoes",
    "offers": {"@type": "Offer", "price": "59.90", "priceCurrency": "EUR"},
}
ITEM = {"item_id": "42", "item_name": "Blue shoe", "item_brand": "Walk", "item_category": "Shoes", "price": 59.9}

EVERYTHING = f"""
<div data-mw-product='{json.dumps({**SHOE, "product_id": "7"})}'><p>Another shoe</p></div>
<button data-mw-feature="size guide">Sizes</button>
<a href="https://elsewhere.example/" onclick="event.preventDefault()">Elsewhere</a>
<a href="/own">Own</a>
<button data-mw-track="Product Added" data-mw-props='{json.dumps({**SHOE, "quantity": 1})}'>Add</button>
<form data-mw-search action="/find" onsubmit="event.preventDefault()"><input name=words><button>Find</button></form>
<form data-mw-filter><label>Red<input type=checkbox name=colour value=red></label></form>
<video src="/clip.wav" controls title="How it is made"></video>
<div data-mw-seen="Checkout Step Viewed" data-mw-props='{{"step":2}}'></div>
<script type="application/ld+json">{json.dumps(LD_JSON)}</script>
<div style="height:3000px"></div><footer>End</footer>
"""
LAYER = data_layer(
    {"event": "view_item", "ecommerce": {"currency": "EUR", "value": 59.9, "items": [ITEM]}},
    {"event": "view_item_list", "ecommerce": {"item_list_id": "new", "items": [ITEM, {**ITEM, "item_id": "7"}]}},
)
