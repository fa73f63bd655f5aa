"""Data quality on a running installation: monitors, another system's figures, alerts, the audit, the data map."""

from __future__ import annotations

import email
import email.policy
import json
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from running_project import (  # noqa: E402
    SETTINGS,
    Shop,
    done,
    identify,
    mailwright,
    make_project,
    opened,
    order,
    serving,
    wait_until,
)

from mailwright.runtime.project.versions import apply, plan  # noqa: E402

pytestmark = pytest.mark.slow

QUALITY = """\
reconcile:
  books:
    event: Order Completed
    value: total
    url_env: BOOKS
    query: SELECT day, count, sum FROM orders
    days: 3
alerts:
  mail: [ops@maple.example]
  webhook: {webhook}
audit:
  archive_after: 10 days
  duplicates: {{merge_above: 95}}
  fill: {{country: locale}}
  expected: [email, firstName]
"""


TOTAL = "SELECT sum(CAST(properties->>'$.total' AS DOUBLE)) AS total FROM events WHERE name = 'Order Completed'"


@contextmanager
def listener() -> Iterator[tuple[str, list[dict]]]:
    """An address that takes alerts, and what it was told."""
    told: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/alerts", told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def books(path: Path, rows: list[tuple[str, int, float]]) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE IF NOT EXISTS orders (day TEXT PRIMARY KEY, count INT, sum REAL)")
        database.executemany("INSERT OR REPLACE INTO orders VALUES (?, ?, ?)", rows)
    database.close()


def test_faults_are_found_told_once_and_gone_when_mended(tmp_path: Path) -> None:
    settings = SETTINGS + '\n[engine]\nhistory_s = 1\n\n[outgoing]\nallow = ["127.0.0.1"]\n'
    folder = make_project(tmp_path / "shop", settings)
    env = {"BOOKS": f"sqlite:///{tmp_path / 'books.sqlite'}"}
    with listener() as (webhook, told), serving(folder) as served, opened(folder) as there:
        (folder / "quality.yaml").write_text(QUALITY.format(webhook=webhook))
        shop = Shop(there, served)
        apply(there, plan(there))
        anna = {"lastName": "Gruber", "shoe": "42", "address": {"postalCode": "1010", "city": "Wien"}}
        visit = {"type": "page", "messageId": "visit", "timestamp": "2026-11-02T06:00:00Z"}
        shop.batch(
            [
                identify("ada", "anna.gruber@maple.example", firstName="Anna", **anna),
                {
                    **identify("", "annagruber@grove.example", firstName="Anna", **anna),
                    "userId": None,
                    "anonymousId": "x",
                },
                {**visit, "anonymousId": "y", "context": {"locale": "de-AT"}},
                {**identify("bob", "bob@maple.example"), "anonymousId": "y", "context": {"locale": "fr-FR"}},
                order("ada", 1),
            ]
        )
        shop.tick("2026-11-03T09:00:00Z")
        shop.batch([order("ada", 3)])
        shop.tick("2026-11-04T09:00:00Z")

        def run(job: str) -> str:
            there.engine.flush_history()  # the tick before has come to rest: all of the log is folded
            ran = mailwright("run", job, "--project", str(folder), env=env)
            assert ran.returncode == 0, ran.stderr
            return ran.stdout

        there.engine.flush_history()
        total = there.history.query(TOTAL)["total"].to_pylist()[0] / 2

        # The first day was not whole here: the other side's larger count says nothing.
        books(tmp_path / "books.sqlite", [("2026-11-02", 9, total), ("2026-11-03", 2, total * 2)])
        assert "1 findings, 1 of them new" in run("quality")
        [finding] = shop.get("/v1/quality")["findings"]
        assert (finding["monitor"], finding["subject"], finding["resolved_at"]) == ("reconciliation", "books", None)
        assert "Order Completed of all sources" in finding["message"]
        assert "on 2026-11-03 1 events here, 2 there" in finding["message"]
        assert [one["subject"] for one in told[0]["findings"]] == ["books"]
        mails = [path for path in (folder / "data" / "mailbox").glob("*.eml")]
        alerts = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in mails]
        assert [mail["To"] for mail in alerts] == ["ops@maple.example"]
        assert "books" in alerts[0].get_content()
        assert "serious" in done("quality", "--project", str(folder))

        run("quality")
        assert len(told) == 1, "a finding that lasts is told once"

        unreachable = mailwright("run", "quality", "--project", str(folder), env={"BOOKS": "sqlite:////nowhere/x"})
        assert unreachable.returncode == 5
        assert "the database of reconciliation books" in unreachable.stderr
        assert "nowhere" not in unreachable.stderr
        lasting = {one["subject"] for one in shop.get("/v1/quality")["findings"] if one["resolved_at"] is None}
        assert lasting == {"books", "reconciliation books"}, "nobody knows whether it is gone"

        books(tmp_path / "books.sqlite", [("2026-11-03", 1, total)])
        assert "nothing is wrong" in run("quality")
        assert shop.get("/v1/quality")["findings"][0]["resolved_at"] is not None
        assert "Nothing looks wrong" in done("quality", "--project", str(folder))

        project = ("--project", str(folder))
        # The audit: a dry look changes nothing, a run does what is declared.
        report = done("audit", "--project", str(folder))
        assert "3 people" in report
        assert "1 probable duplicates" in report
        assert "1 without firstName" in report
        shop.tick("2026-11-20T09:00:00Z")
        assert "1 probable duplicates" in run("audit")
        audit = shop.get("/v1/quality/audit")["audit"]
        assert (audit["archived"], audit["filled"], audit["n_stale"]) == (3, {"country": 1}, 0)
        assert audit["merged"] == 1
        shop.tick("2026-11-20T10:00:00Z")
        bob = shop.get("/v1/people/user_id:bob")
        assert (bob["traits"]["country"]["value"], bob["traits"]["country"]["source"]) == ("fr-FR", "audit"), "newest"
        assert bob["last_seen_at"] < "2026-11-04", "a clean-up makes nobody seen"
        ada = shop.get("/v1/people/user_id:ada")
        assert shop.get("/v1/people/anonymous_id:x")["person"] == ada["person"], (
            "one person now, who can be split again"
        )

        # Taken apart, they are neither proposed nor merged again.
        merges = shop.get(f"/v1/people/number:{ada['person']}/graph")["merges"]
        done("split", f"#{ada['person']}", "--merge", str(merges[0]["merge"]), "--reason", "twins", *project)
        again = done("audit", "--change", *project)
        assert "0 probable duplicates" in again
        assert "0 merged" in again

        shop.batch([order("ada", 2)])
        shop.tick("2026-11-21T09:00:00Z")
        run("audit")
        wait_until("ada alone is back", lambda: there.engine.status().lists["archived"].size == 2)

        # The data map knows what the starter's definitions read.
        run("data-map")
        pieces = {(one["kind"], one["name"]): one for one in shop.get("/v1/data-map")["data_map"]["pieces"]}
        assert pieces["event", "Order Completed"]["used_by"]
        assert not pieces["trait", "lastName"]["unused"], "merges go by it"
        assert pieces["trait", "shoe"]["unused"]
        assert pieces["source", "shop"]["n"] > 0
        assert "shoe" in done("data-map", "--unused", "--project", str(folder))
