"""A plan in people, a preview without live leaves, and the stream of transitions: all through the real program."""

import json
import re
import sys
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

sys.path[:0] = [str(Path(__file__).parent)]

from running_project import Shop, done, make_project, opened, order, serving, wait_until  # noqa: E402

pytestmark = pytest.mark.slow

PEOPLE = [f"p{n:02}" for n in range(12)]

CHANGED = """\
customers:
  title: Customers
  rule: orders >= 2
lapsed_30d:
  title: Lapsed for 30 days
  rule: did 'Order Completed' and not did 'Order Completed' within 30 days
spenders:
  title: Spenders
  rule: sum of 'Order Completed'.total within 200 days > 30 and in segment customers
"""


def people_lines(told: str) -> dict[str, str]:
    """What a plan says of each segment."""
    rows = (re.match(r"(\w+) \((?:added|changed|removed)\): ", line) for line in told.splitlines())
    return {row[1]: row.string for row in rows if row}


def asked(shop: Shop, path: str) -> dict[str, object]:
    answer = httpx.get(shop.base_url + path, auth=(shop.key, ""), timeout=90)
    assert answer.status_code in (200, 202), answer.text
    return answer.json()


def shop_with_orders(shop: Shop) -> None:
    """All 12 have one order, 5 have a second; that is 20 each."""
    shop.batch([order(user, 1) for user in PEOPLE] + [order(user, 2) for user in PEOPLE[:5]])
    shop.tick("2026-11-02T09:00:00Z")


def test_a_plan_and_a_preview_tell_what_would_change_in_people(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "shop")
    with serving(folder) as served, opened(folder) as there:
        shop = Shop(there, served)
        shop_with_orders(shop)
        with connect(
            served.base_url.replace("http", "ws", 1) + "/v1/transitions/stream?after=0&segment=customers",
            additional_headers={"Authorization": f"Bearer {shop.key}"},
            open_timeout=60,
        ) as socket:
            seen = [json.loads(socket.recv(timeout=60)) for _ in range(13)]
        assert sorted(one["identifier"] for one in seen[1:]) == [f"user_id:{user}" for user in PEOPLE]

        (folder / "segments.yaml").write_text(CHANGED)
        hero = folder / "content_rules" / "hero.yaml"
        hero.write_text(hero.read_text().replace("in segment newcomers", "in segment customers"))
        told = done("plan", "--project", str(folder))
        lines = people_lines(told)
        assert lines["customers"] == "customers (changed): +0 -7 (now 5)"
        assert lines["spenders"] == "spenders (added): +5 -0 (now 5)"
        assert lines["newcomers"] == "newcomers (removed): +0 -7 (now 0)"
        assert "  entering: user_id:p00, user_id:p01, user_id:p02, user_id:p03, user_id:p04" in told
        assert "  named by content hero:newcomer" in told
        assert "lapsed_30d" not in lines
        # So few people are all in the sample: the quick answer is exact too.
        assert people_lines(done("plan", "--quick", "--project", str(folder))) == lines

        rule = "sum of 'Order Completed'.total within 200 days > 30"
        answer = httpx.post(
            f"{served.base_url}/v1/segments/preview", json={"rule": rule}, auth=(shop.key, ""), timeout=60
        )
        found = answer.json()
        if not found["exact"]:
            again = f"/v1/segments/previews/{found['id']}?wait=60"
            found = wait_until("everybody is counted", lambda: (now := asked(shop, again))["exact"] and now)
        assert (found["exact"], found["size"]) == (True, 5)

    without = done("plan", "--project", str(folder))  # nobody runs: History knows it too
    assert {name: line.split("): ")[1] for name, line in people_lines(without).items()} == {
        name: line.split("): ")[1] for name, line in lines.items()
    }
