"""Rows of a declared import over HTTP: a real door in a process of its own, driven as curl and ETL tools drive it."""

from __future__ import annotations

import gzip
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from fastapi.testclient import TestClient
from seeded_shop import Shop
from visitors import client_of

sys.path[:0] = [str(Path(__file__).parent.parent / "scenarios")]

from running_project import SETTINGS, Served, make_project, opened, serving, wait_until  # noqa: E402

from mailwright.core.events import Event, Events, Tick  # noqa: E402
from mailwright.core.instants import Instant  # noqa: E402
from mailwright.ingest.imports import ImportDefinition  # noqa: E402
from mailwright.runtime.giving_way import CHUNK_ITEMS  # noqa: E402
from mailwright.runtime.installation import Installation  # noqa: E402
from mailwright.runtime.project.versions import apply, plan  # noqa: E402
from mailwright.runtime.write_keys import create_key  # noqa: E402
from mailwright.web.posted import MOST_WAITING  # noqa: E402

COLUMNS = "columns: {id: userId, mail: traits.email, city: traits.city}\nkey: id\n"
IMPORTS = {
    "crm": f"title: Contacts\nas: identify\nposted: rows\n{COLUMNS}",
    "topic": f"title: Contacts as they change\nas: identify\nposted: changes\n{COLUMNS}deletes: {{then: unset}}\n",
    "files": f"title: Contacts in files\nas: identify\nfile: drop/*.csv\n{COLUMNS}",
}
LINES = {"Content-Type": "application/x-ndjson"}


@dataclass
class Door:
    """A door that serves, and what a client of it needs."""

    there: Installation
    served: Served
    server: str
    browser: str

    def post(self, name: str, rows: Any, key: str | None = None, **headers: str) -> httpx.Response:
        """One request: bytes as they are, everything else as JSON."""
        body = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
        auth = (self.server if key is None else key, "")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.served.base_url}/v1/imports/{name}/rows"
        return httpx.post(url, content=body, auth=auth if auth[0] else None, headers=named, timeout=60)

    def until_taken(self, name: str, rows: Any) -> dict[str, Any]:
        """As a tool does that keeps what it has until it is told that it is in."""

        def answer() -> httpx.Response | None:
            try:
                found = self.post(name, rows)
            except httpx.TransportError:
                return None
            return None if found.status_code in (429, 503) else found

        found: httpx.Response = wait_until("the door takes it", answer)
        assert found.status_code == 200, found.text
        told: dict[str, Any] = found.json()
        return told

    def events(self, prefix: str) -> list[Event]:
        """Events of people whose id begins so, repeated ones too."""
        bodies = [record.body for record in self.there.log.read(0, 100_000)]
        found = [event for body in bodies if isinstance(body, Events) for event in body.events]
        return [event for event in found if event.identifiers[0].value.startswith(prefix)]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = make_project(tmp_path_factory.mktemp("posted") / "shop", SETTINGS)
    (folder / "imports").mkdir()
    for name, text in IMPORTS.items():
        (folder / "imports" / f"{name}.yaml").write_text(text)
    with opened(folder) as there:
        apply(there, plan(there))
        sources, now = there.records.sources, there.wall.now()
        server = create_key(sources, "etl", server=True, now=now)
        browser = create_key(sources, "site", server=False, now=now)
        with serving(folder) as served:
            yield Door(there, served, server, browser)


def contact(id: str, city: str = "Ulm") -> dict[str, Any]:
    return {"id": id, "mail": f"{id}@maple.example", "city": city}


def change(op: str, id: str, lsn: int, city: str = "Ulm") -> dict[str, Any]:
    source = {"lsn": lsn, "ts_ms": 1_790_000_000_000 + lsn}
    row = contact(id, city)
    return {
        "op": op,
        "before": {"id": id} if op == "d" else None,
        "after": None if op == "d" else row,
        "source": source,
    }


def lines(rows: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def told(answer: httpx.Response) -> tuple[int, int, int, int]:
    body = answer.json()
    return answer.status_code, body["accepted"], body.get("unchanged", 0), body["refused_count"]


# --- what comes in ---------------------------------------------------------------------------------------------------


def test_arrays_single_objects_and_gzipped_lines_are_taken_once(door: Door) -> None:
    rows = [contact(f"in-{n}") for n in range(3)]
    assert told(door.post("crm", rows)) == (200, 3, 0, 0)
    assert told(door.post("crm", rows[0])) == (200, 0, 1, 0)
    more = gzip.compress(lines([*rows, contact("in-3")]))
    assert told(door.post("crm", more, content_encoding="gzip", **LINES)) == (200, 1, 3, 0)
    assert door.post("crm", []).json() == {"accepted": 0, "refused": [], "refused_count": 0}
    found = door.events("in-")
    assert sorted(event.identifiers[0].value for event in found) == ["in-0", "in-1", "in-2", "in-3"]
    assert {(event.source, event.imported, event.type) for event in found} == {("import:crm", True, "identify")}


def test_more_lines_than_a_batch_holds_are_taken_while_they_come(door: Door) -> None:
    body = lines([contact(f"many-{n}") for n in range(1_200)] + [{"mail": "nobody"}])
    answer = door.post("crm", body, **LINES)
    assert told(answer) == (200, 1_200, 0, 1)
    assert [one["index"] for one in answer.json()["refused"]] == [1_200]
    assert told(door.post("crm", body, **LINES)) == (200, 0, 1_200, 1)
    assert len(door.events("many-")) == 1_200


def test_changes_with_deletes_tombstones_and_a_snapshot(door: Door) -> None:
    first = [
        change("r", "t-ada", 10),
        change("c", "t-bob", 11),
        {"schema": {}, "payload": change("u", "t-ada", 12, "Bonn")},
    ]
    assert told(door.post("topic", first)) == (200, 3, 0, 0)
    last = [change("d", "t-bob", 13), None, change("u", "t-ada", 11, "late")]
    answer = door.post("topic", lines(last), **LINES)
    assert (told(answer), answer.json()["deleted"]) == ((200, 1, 2, 0), 1)
    assert told(door.post("topic", [*first, *last])) == (200, 0, 6, 0)
    assert told(door.post("topic", None)) == (200, 0, 1, 0)  # a tombstone by itself
    cities = [(event.identifiers[0].value, event.traits["city"]) for event in door.events("t-")]
    assert cities == [("t-ada", "Ulm"), ("t-bob", "Ulm"), ("t-ada", "Bonn"), ("t-bob", None)]


# --- what does not ---------------------------------------------------------------------------------------------------


def test_each_bad_row_is_answered_for_and_the_good_ones_are_in(door: Door) -> None:
    answer = door.post("crm", [contact("some-0"), {**contact("some-1"), "mail": "x"}, 7, {"mail": "a@maple.example"}])
    assert told(answer) == (200, 1, 0, 3)
    assert [(one["index"], one["field"]) for one in answer.json()["refused"]] == [(1, "traits.email"), (2, ""), (3, "")]
    answer = door.post("crm", [7, {"mail": "x"}])
    assert (told(answer), answer.json()["error"]["code"]) == ((400, 0, 0, 2), "ingest.refused")
    with opened(door.served.folder) as there:
        wait_until(
            "it is counted", lambda: any(one.refused >= 5 for one in there.records.sources.seen(there.clock.now()))
        )


def test_only_a_server_key_may_and_only_for_a_posted_import(door: Door) -> None:
    rows = [contact("never")]
    answers = [
        door.post("crm", rows, key=""),
        door.post("crm", rows, key="sk_no"),
        door.post("crm", rows, key=door.browser),
        door.post("crn", rows),
        door.post("files", rows),
    ]
    assert [(one.status_code, one.json()["error"]["code"]) for one in answers] == [
        (401, "key.missing"),
        (401, "key.unknown"),
        (403, "key.server"),
        (404, "import.unknown"),
        (409, "import.not_posted"),
    ]
    assert door.events("never") == []


def test_bodies_are_bounded(door: Door) -> None:
    deep = b'{"id":"deep","city":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    bomb = gzip.compress(b"[" + b" " * (64 << 20) + b"]")
    lines_bomb = gzip.compress(b"x" * (64 << 20))
    zipped = {"content_encoding": "gzip"}
    answers = [
        (door.post("crm", b"[" + b" " * 600_000 + b"]"), 413),
        (door.post("crm", bomb, **zipped), 413),
        (door.post("crm", [{}] * 2_501), 413),
        (door.post("crm", lines_bomb, **zipped, **LINES), 400),
        (door.post("crm", gzip.compress(lines([contact("cut")]))[:-9], **zipped, **LINES), 400),
        (door.post("crm", b"[{"), 400),
        (door.post("crm", b"\xff\xfe"), 400),
        (door.post("crm", b""), 400),
        (door.post("crm", deep), 400),
        (door.post("crm", b'[{"id":"\\ud800","city":"x"}]'), 400),
        (door.post("crm", b"x", content_encoding="br"), 415),
    ]
    assert [one.status_code for one, _ in answers] == [status for _, status in answers]
    assert "67,108,864 bytes" in answers[3][0].json()["refused"][0]["reason"]


# --- several at once, and none ----------------------------------------------------------------------------------------


def test_writers_at_the_same_time_lose_and_double_nothing(door: Door) -> None:
    """All of them post all batches, each in another order; the log has each row once, not only the engine."""
    batches = [[contact(f"race-{part}-{n}") for n in range(20)] for part in range(12)]

    def write(start: int) -> int:
        return sum(door.until_taken("crm", one)["accepted"] for one in [*batches[start:], *batches[:start]])

    with ThreadPoolExecutor(4) as writers:
        taken = list(writers.map(write, range(0, 12, 3)))
    assert sum(taken) == 240
    assert Counter(event.identifiers[0].value for event in door.events("race-")) == {
        f"race-{part}-{n}": 1 for part in range(12) for n in range(20)
    }


def test_a_door_that_is_killed_again_and_again_loses_and_doubles_nothing(door: Door) -> None:
    batches = [[change("c", f"kill-{part}-{n}", 100 + part) for n in range(10)] for part in range(30)]
    stop = threading.Event()

    def kill() -> None:
        for _ in range(2):
            if stop.wait(0.4):
                return
            door.served.kill("door")
            wait_until("the door is there again", lambda: "door" in door.served.children() or stop.is_set())

    killer = threading.Thread(target=kill)
    killer.start()
    for batch in batches:
        door.until_taken("topic", batch)
    stop.set()
    killer.join()
    wait_until("the door answers", door.served.ready)
    assert told(door.post("topic", [row for batch in batches for row in batch])) == (200, 0, 300, 0)
    found = {event.message_id: event.identifiers[0].value for event in door.events("kill-")}
    assert sorted(found.values()) == sorted(f"kill-{part}-{n}" for part in range(30) for n in range(10))


# --- pressure --------------------------------------------------------------------------------------------------------


def with_crm(shop: Shop) -> TestClient:
    definition = msgspec.yaml.decode(IMPORTS["crm"].encode(), type=ImportDefinition)
    project = replace(shop.context.project, imports={"crm": definition})  # type: ignore[type-var]
    return client_of(replace(shop, context=replace(shop.context, project=project)))


@pytest.fixture
def client(fresh_shop: Shop) -> TestClient:
    return with_crm(fresh_shop)


def test_rows_give_way_to_live_events(fresh_shop: Shop, client: TestClient) -> None:
    server = {"Authorization": "Bearer sk_server"}
    assert client.post("/v1/imports/crm/rows", json=[contact("ada")], headers=server).json()["accepted"] == 1
    client.app.state.posting["crm"] = (None, MOST_WAITING)  # type: ignore[attr-defined]
    answer = client.post("/v1/imports/crm/rows", json=[contact("bob")], headers=server)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "import.busy")
    client.app.state.posting.clear()  # type: ignore[attr-defined]
    fresh_shop.log.append([Tick()] * 1_000, Instant(1))
    answer = client.post("/v1/imports/crm/rows", json=[contact("bob")], headers=server)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "import.busy")
    assert int(answer.headers["retry-after"]) > 0
    assert client.app.state.posting == {}  # type: ignore[attr-defined]


class RevokedMeanwhile:
    """Sources of which one key is known twice, and then no more."""

    def __init__(self, sources: Any) -> None:
        self._sources = sources
        self.left = 2

    def get(self, key: str) -> Any:
        self.left -= 1
        return self._sources.get(key) if self.left >= 0 else None


def test_no_line_is_taken_once_its_key_is_revoked(fresh_shop: Shop) -> None:
    context = replace(fresh_shop.context, sources=RevokedMeanwhile(fresh_shop.context.sources))  # type: ignore[type-var]
    client = with_crm(replace(fresh_shop, context=context))
    lines = b"\n".join(json.dumps(contact(f"revoked-{n}")).encode() for n in range(CHUNK_ITEMS + 1))
    headers = {"Authorization": "Bearer sk_server", **LINES}
    answer = client.post("/v1/imports/crm/rows", content=lines, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "key.unknown")
    assert answer.json()["accepted"] == CHUNK_ITEMS
