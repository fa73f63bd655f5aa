"""What the snippet and the pixel send, through the door and the engine: attributes move, named segments follow.

The calls have exactly the shape that `web/assets/snippet` gives them (a browser's own tests are tests/web/snippet);
the pixel's are read from addresses, as the door does.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from engine_world import BLOBS

from mailwright.core.events import Defined, Event, Events, Identifier, LogRecord, Person, Tick
from mailwright.core.instants import DAY, HOUR, MINUTE, SECOND, Instant, format_iso, parse_iso
from mailwright.ingest.identifiers import Source
from mailwright.ingest.segment import IngestRules, parse_request
from mailwright.privacy.keys import KeyRing
from mailwright.privacy.sealing import Sealer
from mailwright.runtime.engine import reads
from mailwright.runtime.engine.state import EngineState, Folded
from mailwright.web import pixel

NODE = shutil.which("node")
SNIPPET = Path(pixel.__file__).parent / "assets" / "snippet"
START = parse_iso("2026-05-04T09:00:00Z")
SEAL = Sealer(KeyRing.generate())
SHOE = {"product_id": "42", "name": "Blue shoe", "price": 59.9, "currency": "EUR", "category": "Shoes"}
RISING = "rising interest in 'Garden' by category over {'Product Viewed': 1} half-life 7 days against 90 days"

ATTRIBUTES = {
    "pages": "count of any page",
    "seconds": "sum of 'Page Left'.seconds",
    "videos": "count of 'Video Playback Started'",
    "watched": "max of 'Video Content Playing'.percent",
    "features": "distinct of 'Feature Clicked'.feature",
    "products": "last 3 distinct of 'Product Viewed'.product_id",
    "red_filters": "count of 'Product List Filtered' where any of filters (type = 'colour' and value = 'red')",
    "cart": "list of 'Product Added'.product_id",
}
SEGMENTS = {
    "visitors": "pages >= 1",
    "readers": "seconds >= 30",
    "watchers": "videos >= 1",
    "half_watched": "watched >= 50",
    "explorers": "features >= 1",
    "viewed_42": "products contains '42'",
    "after_red": "red_filters >= 1",
    "carts": "cart contains '42'",
    "gardeners": f"{RISING} > 0.1",
}
NAMED = {
    "interested": (
        "Potentially Interested Customers",
        "did 'Product Viewed' where product_id = 'A' within 24 hours",
    ),
    "recent_abandoners": (
        "Recent Abandoners",
        "did 'Cart Viewed' within 1 day and did 'Cart Viewed' then no 'Order Completed' within 30 minutes",
    ),
    "frequent_browsers": (
        "Frequent Browsers",
        "count of any page within 1 day >= 3 and not in segment recent_abandoners",
    ),
    "dropouts": (
        "High-Value Cart Dropouts",
        "in segment recent_abandoners and last of 'Checkout Started'.value >= 200",
    ),
}


class Shop:
    """A door and an engine's state behind it, and a browser in front of it."""

    def __init__(self) -> None:
        self.now, self.number, self.ids = START, 0, 0
        self.state, self.folded = EngineState(BLOBS.get), Folded()
        segments = {name: {"title": name, "rule": rule} for name, rule in SEGMENTS.items()}
        segments |= {name: {"title": title, "rule": rule} for name, (title, rule) in NAMED.items()}
        files = {
            "mailwright.toml": '[project]\nname = "Shop"\ntime_zone = "Europe/Berlin"\n',
            "attributes.yaml": json.dumps({n: {"title": n, "value": value} for n, value in ATTRIBUTES.items()}),
            "segments.yaml": json.dumps(segments),
        }
        self.add(Defined(version=1, files=files))

    def add(self, body: Any) -> None:
        self.number += 1
        self.state.apply(LogRecord(self.number, self.now, body), self.folded)

    def tick(self, micros: int = 0) -> None:
        self.now = Instant(self.now + micros)
        self.add(Tick())

    def take(self, path: str, body: dict[str, Any], kind: str = "browser") -> Event:
        parsed = parse_request(
            path,
            json.dumps(body).encode(),
            IngestRules(sealer=SEAL),
            source=Source("shop", kind),  # type: ignore[arg-type]
            received_at=self.now,
            new_id=lambda: "none",
            context={"ip": "192.0.2.7", "userAgent": "Mozilla/5.0"},
        )
        assert (parsed.refused, parsed.warned) == ([], [])
        (event,) = parsed.events
        self.add(Events([event]))
        self.add(Tick())
        return event

    def snippet(self, kind: str, anonymous: str = "v1", user: str = "", **told: Any) -> Event:
        """One call as events.js and queue.js send it; what is undefined there is absent."""
        self.ids += 1
        url = "https://shop.example/shoes?colour=red"
        page = {"path": "/shoes", "referrer": "", "search": "?colour=red", "title": "Shoes", "url": url}
        call = {
            "type": kind,
            "messageId": f"{self.ids:032x}",
            "timestamp": format_iso(self.now),
            "anonymousId": anonymous,
            **({"userId": user} if user else {}),
            "context": {"page": page},
            **told,
        }
        if kind == "page":
            call["properties"] = page
        library = {"library": {"name": "mailwright.js", "version": "1"}, "locale": "de", "timezone": "Europe/Berlin"}
        head = {"writeKey": "pk_browser", "sentAt": format_iso(self.now), "context": library}
        return self.take("batch", {**head, "batch": [call]})

    def track(self, event: str, properties: dict[str, Any], anonymous: str = "v1") -> Event:
        return self.snippet("track", anonymous, event=event, properties=properties)

    def pixel(self, call: str, referer: str, **query: str) -> Event:
        """An image's address, read as the door reads it."""
        body = pixel.pixel_body(urlencode({"writeKey": "pk_browser", **query}).encode(), referer)
        assert body is not None
        return self.take(call, body)

    def who(self, anonymous: str = "v1") -> Person | None:
        return self.state.identity.number_of(Identifier("anonymous_id", anonymous))

    def known(self, anonymous: str = "v1") -> tuple[dict[str, Any], set[str]]:
        """(attributes, segments) of a visitor."""
        person = self.who(anonymous)
        assert person is not None
        facts = reads.facts(self.state, [person], [])[person]
        return {name: known.value for name, known in facts.attributes.items()}, set(facts.segments)

    def inside(self, anonymous: str = "v1") -> set[str]:
        """Titles of the named segments in which a visitor is."""
        segments = self.known(anonymous)[1]
        return {self.state.project.segments[name].title for name in NAMED if name in segments}


@pytest.fixture
def shop() -> Shop:
    return Shop()


# --- 20 --------------------------------------------------------------------------------------------------------------

FILM = {"video": "https://shop.example/clip.mp4", "title": "How it is made", "total_length": 60}
MOVES: dict[str, tuple[str, dict[str, Any], dict[str, Any], set[str]]] = {
    "page view": ("", {}, {"pages": 1}, {"visitors"}),
    "time spent": ("Page Left", {"seconds": 42.5, "scroll_percent": 80}, {"seconds": 42.5}, {"readers"}),
    "video play": ("Video Playback Started", FILM, {"videos": 1}, {"watchers"}),
    "video watched": ("Video Content Playing", {**FILM, "percent": 50}, {"watched": 50}, {"half_watched"}),
    "feature click": ("Feature Clicked", {"feature": "size guide"}, {"features": 1}, {"explorers"}),
    "product visit": ("Product Viewed", SHOE, {"products": ["42"]}, {"viewed_42"}),
    "filter view": (
        "Product List Filtered",
        {"filters": [{"type": "colour", "value": "red"}, {"type": "size", "value": "42"}]},
        {"red_filters": 1},
        {"after_red"},
    ),
    "cart add": ("Product Added", {**SHOE, "quantity": 1}, {"cart": ["42"]}, {"carts"}),
}


@pytest.mark.parametrize("name", MOVES)
def test_case_20_every_action_moves_its_attribute_and_segment_and_no_other(shop: Shop, name: str) -> None:
    event, properties, moved, entered = MOVES[name]
    shop.track("Something Else", {})
    before, segments = shop.known()
    assert segments == set()
    if event:
        shop.track(event, properties)
    else:
        shop.snippet("page")
    after, segments = shop.known()
    assert {attribute: value for attribute, value in after.items() if value != before.get(attribute)} == moved
    assert segments == entered


def test_these_are_names_that_the_snippet_tells() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in SNIPPET.glob("*.js"))
    assert [event for event, *_ in MOVES.values() if event and f'"{event}"' not in code] == []


def test_case_20_interest_in_a_new_category_rises(shop: Shop) -> None:
    for _ in range(3):
        shop.track("Product Viewed", SHOE)
        shop.now = Instant(shop.now + 10 * DAY)
    shop.now = Instant(shop.now + 30 * DAY)
    shop.tick()
    assert "gardeners" not in shop.known()[1]
    shop.track("Product Viewed", {**SHOE, "product_id": "7", "category": "Garden"})
    assert "gardeners" in shop.known()[1]


# --- 23 --------------------------------------------------------------------------------------------------------------


def test_case_23_product_page_a_within_24_hours_to_the_second(shop: Shop) -> None:
    interested = "Potentially Interested Customers"
    shop.track("Product Viewed", {**SHOE, "product_id": "B"})
    assert interested not in shop.inside()
    shop.track("Product Viewed", {**SHOE, "product_id": "A"})
    assert interested in shop.inside()
    shop.tick(24 * HOUR - SECOND)
    assert interested in shop.inside()
    assert shop.state.fold.next_due() == START + 24 * HOUR, "the engine ticks by itself then"
    shop.tick(SECOND)
    assert interested not in shop.inside()


# --- 27 --------------------------------------------------------------------------------------------------------------

CART, PAY = "https://shop.example/cart", "https://shop.example/checkout"


def _at_the_till(shop: Shop, anonymous: str, value: str) -> None:
    """What pixels on the cart page and on the checkout page tell."""
    shop.pixel("track", CART, event="Cart Viewed", anonymousId=anonymous, value=value)
    shop.pixel("track", PAY, event="Checkout Started", anonymousId=anonymous, value=value)


def test_case_27_pixels_on_cart_and_checkout_pages_sort_visitors_live(shop: Shop) -> None:
    _at_the_till(shop, "poor", "199.99")
    _at_the_till(shop, "rich", "200.00")
    _at_the_till(shop, "buyer", "250")
    for name in ("one", "two", "three"):
        shop.pixel("page", f"https://shop.example/{name}", name=name, anonymousId="browser")
        assert shop.inside("browser") == ({"Frequent Browsers"} if name == "three" else set())
    assert not any(map(shop.inside, ("poor", "rich", "buyer")))
    shop.tick(30 * MINUTE - SECOND)
    shop.pixel("track", "https://shop.example/thanks", event="Order Completed", anonymousId="buyer", total="250")
    assert not any(map(shop.inside, ("poor", "rich", "buyer")))
    assert shop.state.fold.next_due() == START + 30 * MINUTE, "the engine ticks by itself then"
    shop.tick(SECOND)
    assert shop.inside("poor") == {"Recent Abandoners"}
    assert shop.inside("rich") == {"Recent Abandoners", "High-Value Cart Dropouts"}
    assert shop.inside("buyer") == set()
    shop.pixel("track", "https://shop.example/thanks", event="Order Completed", anonymousId="rich", total="200")
    assert shop.inside("rich") == set(), "who buys after all is none any more"
    assert shop.inside("poor") == {"Recent Abandoners"}
    assert shop.inside("browser") == {"Frequent Browsers"}
    shop.tick(DAY)
    assert shop.inside("poor") == shop.inside("browser") == set()


# --- 33 --------------------------------------------------------------------------------------------------------------


def test_case_33_what_pixels_told_of_somebody_unknown_is_theirs_once_they_identify(shop: Shop) -> None:
    seen = shop.pixel("page", "https://shop.example/", anonymousId="v1")
    assert seen.context["page"] == {"url": "https://shop.example/"}
    shop.pixel("track", "", event="Newsletter Seen", anonymousId="mail-7")  # of a mail's footer: no referer
    shop.pixel("page", "https://shop.example/", name="Home")  # without an id: seen this once
    visitor, reader = shop.who("v1"), shop.who("mail-7")
    assert (visitor, reader, shop.state.identity.n_living) == (0, 1, 3)
    shop.pixel("page", "https://shop.example/", anonymousId="v1", userId="u7")
    assert shop.who("v1") == visitor, "a pixel names nobody"
    assert shop.state.identity.number_of(Identifier("user_id", "u7")) is None

    shop.snippet("identify", "v1", "u7", traits={"plan": "gold"})
    shop.snippet("identify", "mail-7", "u7", traits={})  # they follow the mail's link, and sign in there too
    assert shop.who("v1") == shop.who("mail-7") == shop.state.identity.number_of(Identifier("user_id", "u7"))
    assert shop.state.identity.n_living == 2
    shop.snippet("page", "v1", "u7")
    attributes, segments = shop.known("mail-7")
    assert attributes["pages"] == 3
    assert "visitors" in segments
    person = shop.who("v1")
    assert person is not None
    assert shop.state.profiles.view(person).n_events == 6


# --- 51 --------------------------------------------------------------------------------------------------------------

ITEM = {"item_id": "42", "item_name": "Blue shoe", "item_brand": "Walk", "item_category": "Shoes", "price": "59.90"}
PRODUCT = {"product_id": "42", "name": "Blue shoe", "brand": "Walk", "category": "Shoes", "price": 59.9}
PUSHED: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "view_item": (
        {"currency": "EUR", "value": 59.9, "items": [ITEM]},
        "Product Viewed",
        {**PRODUCT, "currency": "EUR", "value": 59.9},
    ),
    "add_to_cart": (
        {"currency": "EUR", "value": "119.80", "items": [{**ITEM, "quantity": "2"}]},
        "Product Added",
        {**PRODUCT, "quantity": 2, "currency": "EUR", "value": 119.8},
    ),
}
READ = """
globalThis.window = {dataLayer: PUSHED.slice(0, 1)};
const told = [];
readDataLayer("dataLayer", (event, properties, from) => told.push({event, properties, from}));
for (const one of PUSHED.slice(1)) window.dataLayer.push(one);
console.log(JSON.stringify(told));
"""


@pytest.mark.skipif(NODE is None, reason="no node on PATH: apt-get install nodejs")
def test_case_51_what_gtm_and_segment_tell_of_a_product_is_one_event(shop: Shop) -> None:
    pushes = [{"event": name, "ecommerce": told} for name, (told, _, _) in PUSHED.items()]
    script = (SNIPPET / "data_layer.js").read_text(encoding="utf-8") + READ.replace("PUSHED", json.dumps(pushes))
    ran = subprocess.run(
        [str(NODE), "--input-type=module", "-"], input=script, capture_output=True, text=True, timeout=240, check=True
    )
    told = json.loads(ran.stdout)
    assert [one.pop("from") for one in told] == ["layer"] * len(PUSHED)
    for one, (_, event, segment) in zip(told, PUSHED.values(), strict=True):
        ours = shop.track(one["event"], one["properties"], "gtm")
        body = {"userId": "u1", "anonymousId": "segment", "messageId": event, "event": event, "properties": segment}
        theirs = shop.take("track", body, "server")
        assert (ours.type, ours.name, ours.properties) == (theirs.type, theirs.name, theirs.properties)
    (by_gtm, in_gtm), (by_segment, in_segment) = shop.known("gtm"), shop.known("segment")
    assert by_gtm == by_segment
    assert in_gtm == in_segment == {"viewed_42", "carts"}
