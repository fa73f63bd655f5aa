"""A person's visits, over a real engine and History."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from live_shop import Live, live_shop, wait_for

from mailwright.core.instants import HOUR, MINUTE, format_iso
from mailwright.runtime.clocks import SystemClock


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_shop(tmp_path_factory.mktemp("live")) as made:
        yield made


def test_visits_have_start_length_pages_device_and_source(shop: Live) -> None:
    now = SystemClock().now() - 3 * HOUR
    calls = [
        ("page", "Home", 0, {"device": {"type": "mobile"}, "traffic_source": "email"}),
        ("page", "Mug", 10 * MINUTE, {"traffic_source": "direct"}),
        ("track", "Product Viewed", 40 * MINUTE, {}),
        ("screen", "Basket", 71 * MINUTE, {"device": {"type": "tablet"}}),
    ]
    batch = [
        {
            "type": kind,
            ("event" if kind == "track" else "name"): name,
            "userId": "vera",
            "messageId": f"{kind}-{after}",
            "timestamp": format_iso(now + after),
            "context": context,
        }
        for kind, name, after, context in calls
    ]
    batch.append({"type": "track", "event": "Order Completed", "userId": "someone", "messageId": "other"})
    assert shop.post("/v1/batch", {"batch": batch}).status_code == 200
    wait_for(lambda: shop.get("/v1/people/user_id:vera").status_code == 200, "the events are not folded")
    number = shop.get("/v1/people/user_id:vera").json()["person"]
    shop.client.flush_history()

    told = shop.get(f"/v1/people/number:{number}/sessions").json()["sessions"]
    assert [(one["pages"], one["events"], one["device"], one["source"], one["length_s"]) for one in told] == [
        (1, 1, "tablet", None, 0),
        (2, 3, "mobile", "email", 2400),
    ]
    assert told[1]["started_at"] == format_iso(now)
    assert told[1]["path"] == ["Home", "Mug", "Product Viewed"]

    longer = shop.get(f"/v1/people/number:{number}/sessions", gap="31 minutes").json()["sessions"]
    assert [one["events"] for one in longer] == [4]
    assert len(shop.get(f"/v1/people/number:{number}/sessions", limit=1).json()["sessions"]) == 1
    assert shop.get("/v1/people/number:999999/sessions").status_code == 404
    assert shop.get(f"/v1/people/number:{number}/sessions", gap="soon").status_code == 400
