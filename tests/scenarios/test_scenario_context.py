"""A segment and a mail that change with the hour, the device and the place of each person (cases 22, 24 and 42)."""

import email
import email.policy
import re
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "unit" / "stores")]

from running_project import SETTINGS, Shop, identify, make_project, opened, serving  # noqa: E402
from test_places_mmdb import NEW_YORK, written  # noqa: E402

from mailwright.runtime.project.versions import apply, plan  # noqa: E402

pytestmark = pytest.mark.slow

PHONE = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile "
    "Safari/537.36"
)
LAPTOP = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36"
)
BUFFALO = {**NEW_YORK, "city": {"names": {"en": "Buffalo"}}}
TOKYO = {
    "city": {"names": {"en": "Tokyo"}},
    "country": {"iso_code": "JP"},
    "location": {"latitude": 35.69, "longitude": 139.69, "time_zone": "Asia/Tokyo"},
    "subdivisions": [{"iso_code": "13", "names": {"en": "Tokyo"}}],
}
FILES = {
    "segments.yaml": """
early: {title: Early morning where they are, rule: local hour between 5 and 8}
cart_city: {title: Abandoned Cart - NY, rule: abandoned a cart and geo.city = 'New York'}
cart_state: {title: Abandoned Cart - NY state, rule: abandoned a cart and geo.region = 'New York'}
on_phone: {title: On a phone, rule: device of last session with gap 30 minutes = 'mobile'}
by_mail: {title: Came by mail, rule: source of last session with gap 30 minutes = 'email'}
""",
    "attributes.yaml": "city: {title: City, value: geo.city}\n",
    "content_rules/line.yaml": """
title: What suits the moment
slot: line
rows:
  - {name: early phone, when: local hour between 5 and 8 and device.type = 'mobile', use: {text: Good morning}}
  - {name: phone, when: device.type = 'mobile', use: {text: Short}}
otherwise: {text: Everything at length}
""",
    "templates/note.mjml": """---
subject: "{{ content.line.text }} {{ city }}"
---
<mjml lang="en"><mj-body><mj-section><mj-column>
<mj-text>{{ content.line.text }} in {{ city }}.</mj-text>
{% if content.line.text != "Everything at length" %}
<mj-button href="https://my-shop.example" inner-padding="20px">Go</mj-button>
{% endif %}
<mj-text>{{ sender.postal_address }} <a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
""",
    "campaigns/note.yaml": """
title: Note
audience: city is known
schedule: {every: day, at: "11:30"}
send_by: 1 hour
mail:
  template: note
  content_rules: [line]
  variables:
    city: {from: attribute city, fallback: somewhere}
""",
    "channels.yaml": "podcast: {channel: podcast, utm_source: [pod*]}\n",
}


def page(user: str, ip: str, agent: str, url: str = "/", at: str = "2026-11-02T08:00:00Z") -> dict:
    told = {"ip": ip, "userAgent": agent, "page": {"url": f"https://my-shop.example{url}"}}
    return {"type": "page", "messageId": f"page-{user}-{at}", "userId": user, "timestamp": at, "context": told}


def cart(user: str) -> dict:
    properties = {"cart_id": f"c-{user}", "product_id": "p1"}
    call = {"type": "track", "messageId": f"cart-{user}", "userId": user, "event": "Product Added"}
    return {**call, "properties": properties, "timestamp": "2026-11-02T08:01:00Z"}


def test_segment_and_mail_change_with_hour_device_and_place(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "shop", SETTINGS + '\n[context]\nplace_file = "places.mmdb"\n')
    for path in [*folder.rglob("*.yaml"), *folder.rglob("*.mjml")]:
        path.unlink()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    written(folder / "places.mmdb", {"198.51.100.0/24": NEW_YORK, "198.51.101.0/24": BUFFALO, "203.0.113.0/24": TOKYO})
    people = {
        "nina": ("198.51.100.7", PHONE, "/?mw_click=abc"),  # New York, 6:30 at 11:30 UTC
        "bert": ("198.51.101.7", LAPTOP, "/?utm_source=podX"),
        "tomo": ("203.0.113.7", PHONE, "/"),
    }
    with opened(folder) as there:
        apply(there, plan(there))
    with serving(folder) as served, opened(folder) as there:
        shop = Shop(there, served)
        shop.batch([identify(name, f"{name}@example.com") for name in people])
        shop.consent([f"{name}@example.com" for name in people])
        shop.batch([page(name, *told) for name, told in people.items()])
        shop.batch([cart(name) for name in people])
        shop.tick("2026-11-02T11:00:00Z")
        assert members(shop, "cart_city") == {"nina"}
        assert members(shop, "cart_state") == {"nina", "bert"}
        assert members(shop, "on_phone") == {"nina", "tomo"}
        assert members(shop, "by_mail") == {"nina"}
        assert members(shop, "early") == {"nina", "bert"}

        shop.tick("2026-11-02T11:30:00Z")
        read = [
            email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            for path in (folder / "data" / "mailbox").glob("*.eml")
        ]
        assert {mail["To"]: mail["Subject"] for mail in read} == {
            "nina@example.com": "Good morning New York",
            "bert@example.com": "Everything at length Buffalo",
            "tomo@example.com": "Short Tokyo",
        }
        buttons = {mail["To"]: bool(re.search(r">\s*Go\s*<", mail.get_body(("html",)).get_content())) for mail in read}
        assert buttons == {"nina@example.com": True, "bert@example.com": False, "tomo@example.com": True}
    lies = b"".join(path.read_bytes() for path in (folder / "data").rglob("*") if path.is_file())
    assert b"198.51.100.7" not in lies


def members(shop: Shop, segment: str) -> set[str]:
    return {
        name
        for name in ("nina", "bert", "tomo")
        for person in shop.get(f"/v1/segments/{segment}/members")["members"]
        if name in str(person)
    }
