"""The whole program: events in by HTTP, mail out into a mailbox, reactions back in, on both clocks."""

import email
import email.policy
import re
import sqlite3
import sys
from collections import Counter
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from running_project import (  # noqa: E402
    PATIENCE_S,
    SETTINGS,
    Shop,
    alive,
    done,
    identify,
    make_project,
    opened,
    order,
    serving,
    wait_until,
)

pytestmark = pytest.mark.slow


def mails(folder: Path) -> list[EmailMessage]:
    """The mailbox, oldest first by Date."""
    read = [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in (folder / "data" / "mailbox").glob("*.eml")
    ]
    return sorted(read, key=lambda mail: mail["Date"].datetime)


def test_from_an_order_to_a_mail_and_back(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "shop")
    with serving(folder) as served, opened(folder) as there:
        shop = Shop(there, served)
        shop.post("/v1/items", {"items": [item("p1", "Maple syrup", 7.5), item("p2", "Pancake mix", 3.0)]})
        shop.batch([identify("ada", "ada@example.com", firstName="Ada"), identify("bob", "bob@example.com")])
        shop.consent(["ada@example.com"])
        shop.batch([order("ada", 1), order("bob", 1)])
        shop.tick("2026-11-02T09:00:00Z")
        assert shop.get("/v1/segments/customers")["size"] == 2
        assert mails(folder) == []

        shop.tick("2026-11-03T09:00:00Z")  # Tuesday, 9 o'clock
        (mail,) = mails(folder)
        assert mail["To"] == "ada@example.com"
        assert not mail.defects
        assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
        html, text = (mail.get_body((kind,)).get_content() for kind in ("html", "plain"))
        assert "Hello Ada" in html
        assert "Hello Ada" in text
        assert "1 Grove Street" in text
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

        click = re.search(r'href="([^"]+/c/[^"]+)"', html)[1]
        answer = httpx.get(click, timeout=60)
        assert answer.status_code == 302
        assert answer.headers["location"] == "https://my-shop.example"
        pixel = httpx.get(re.search(r'src="([^"]+/o/[^"]+\.gif)"', html)[1], timeout=60)
        assert pixel.headers["content-type"] == "image/gif"
        unsubscribe = re.fullmatch(r"<(http[^>]+)>", mail["List-Unsubscribe"])[1]
        body = {"List-Unsubscribe": "One-Click"}
        assert httpx.post(unsubscribe, data=body, timeout=60).status_code == 200
        assert [
            row.granted for row in there.records.consents.ledger(there.sealer.hash("email", "ada@example.com"))
        ] == [
            True,
            False,
        ]

        shop.tick("2026-11-10T09:00:00Z")
        assert len(mails(folder)) == 1
        reasons = Counter(
            one.reason for one in there.records.messages.page(before=None, limit=10) if one.state != "sent"
        )
        assert reasons == {"no_consent": 3}
        there.engine.flush_history()
        told = there.history.query("SELECT name, count(*) AS n FROM events WHERE source = 'mailwright' GROUP BY ALL")
        counts = dict(zip(told["name"].to_pylist(), told["n"].to_pylist(), strict=True))
        assert counts == {
            "Email Sent": 1,
            "Email Suppressed": 3,
            "Email Opened": 1,
            "Email Link Clicked": 1,
            "Unsubscribed": 1,
        }


def test_on_the_machines_own_clock_a_tick_follows_by_itself(tmp_path: Path) -> None:
    never = "\n[engine]\nhistory_s = 3600\ncheckpoint_s = 3600\n"  # a checkpoint closes History's chunk too
    settings = SETTINGS.replace('kind = "virtual"', 'kind = "system"') + never
    folder = make_project(tmp_path / "shop", settings)
    with serving(folder) as served, opened(folder) as there:
        shop = Shop(there, served)
        shop.batch([identify("ada", "ada@example.com"), order("ada", 1)])
        wait_until("ada is a customer", lambda: shop.get("/v1/segments/customers")["size"] == 1)
        assert shop.get("/v1/people/number:0")["segments"] == ["customers", "newcomers"]
        # History gets its next chunk in an hour.
        happened = shop.get("/v1/people/user_id:ada/timeline")["happened"]
        assert Counter((one["kind"], one["name"]) for one in happened) == Counter(
            [("event", "Order Completed"), ("event", "identify"), ("entered", "customers"), ("entered", "newcomers")]
        )
        assert "ada@example.com" not in str(happened)
        assert there.history.offset("events") < min(one["offset"] for one in happened)
        assert "Order Completed" in done("person", "ada", "--timeline", "--project", str(folder))
    assert not (folder / "data" / "engine.sock").exists()


def test_serve_killed_takes_its_processes_along_and_starts_again(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "shop")
    with serving(folder, jobs=True) as served, opened(folder) as there:
        pids = served.children()
        assert set(pids) == {"engine", "door", "sender", "worker"}
        Shop(there, served).batch([identify("ada", "ada@example.com"), order("ada", 1)])
        served.process.kill()
        served.process.wait()
        wait_until("all processes end", lambda: not any(alive(pid) for pid in pids.values()))
    with serving(folder) as served, opened(folder) as there:
        shop = Shop(there, served)
        shop.tick("2026-11-02T09:00:00Z")
        assert shop.get("/v1/segments/customers")["size"] == 1
        pids = served.children()
    assert served.process.returncode == 0
    assert not any(alive(pid) for pid in pids.values())
    assert "Traceback" not in served.told()


def test_damaged_data_stops_everything(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "shop")
    log = folder / "data" / "log.sqlite"
    with sqlite3.connect(log) as database:
        database.execute("UPDATE record SET checksum = checksum + 1 WHERE number = 2")
    database.close()
    with serving(folder, ready=False) as served:
        assert served.process.wait(PATIENCE_S) == 6
    assert "error: the engine found damaged data and stopped" in served.told()
    assert re.search(r"error: .*record 2", served.told())
    assert "Traceback" not in served.told()


def item(item_id: str, title: str, price: float) -> dict:
    return {"catalog": "products", "item_id": item_id, "facts": {"title": title, "price": price}}
