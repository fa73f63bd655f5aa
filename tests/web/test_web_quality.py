"""The pages of data quality and the data map, and their API twins."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from fastapi.testclient import TestClient
from seeded_shop import Shop
from visitors import OURS, client_of, sign_in

from mailwright.core.events import Person
from mailwright.core.findings import Finding
from mailwright.core.instants import DAY, Instant, format_iso, to_datetime
from mailwright.core.schedules import Schedule
from mailwright.reports.data_map import Answer, Influence, Piece
from mailwright.reports.quality.people import AuditReport, Pair
from mailwright.runtime.jobs.job import Job
from mailwright.runtime.jobs.runs import asked_for
from mailwright.runtime.quality.data_map import DataMap
from mailwright.runtime.quality.known import known
from mailwright.runtime.write_keys import Sources, create_client, create_key

AT = Instant(1_500_000_000 * 1_000_000)


def finding(subject: str, example: str = "m1") -> Finding:
    return Finding(
        monitor="missing",
        subject=subject,
        severity="serious",
        message="40% came without currency",
        example=example,
        suggestion="mend the code",
    )


def fill(shop: Shop) -> None:
    """As after a run of the monitors, the audit and the data map."""
    findings = shop.records.findings
    findings.observe(["missing"], [finding("old of Order Completed")], AT)
    findings.observe(
        ["missing"], [finding("currency of Order Completed", "<script>alert(1)</script>")], Instant(AT + DAY)
    )
    pair = Pair(one=Person(1), other=Person(2), score=97.5, alike=("name", "address"), accounts=True)
    report = AuditReport(
        at=AT,
        n_people=1234,
        n_stale=7,
        n_unreachable=3,
        lacking={"email": 2},
        pairs=[pair],
        n_pairs=1,
        filled={"country": 5},
    )
    shop.records.meta.put("audit.newest", msgspec.json.encode(report).decode())
    pieces = [
        Piece(kind="source", name="till", answer=Answer(owner="Ops"), n=9, first_at=AT, last_at=AT),
        Piece(
            kind="event",
            name="Order Completed",
            answer=Answer(basis="contract"),
            n=1200,
            first_at=AT,
            last_at=AT,
            used_by=("segment vip",),
            influence=Influence(rate=0.4, without=0.1, low=0.2, high=0.4, n=100),
        ),
        Piece(kind="trait", name="shoe size", answer=Answer(), types=("text",), unused=True),
    ]
    shop.records.meta.put("data-map.newest", msgspec.json.encode(DataMap(at=AT, pieces=pieces)).decode())


def csrf_of(page: str) -> str:
    """The token of a page's forms."""
    found = re.search(r'name="csrf" value="(\w+)"', page)
    assert found
    return found[1]


def filled(shop: Shop) -> TestClient:
    """A visitor of such a shop."""
    fill(shop)
    client = client_of(shop)
    sign_in(client, shop)
    return client


def test_before_anybody_looked_the_pages_say_how(fresh_shop: Shop) -> None:
    client = client_of(fresh_shop)
    sign_in(client, fresh_shop)
    assert "mailwright run quality" in client.get("/quality").text
    assert "mailwright run data-map" in client.get("/data-map").text
    assert client.get("/v1/quality").json() == {"findings": []}
    assert client.get("/v1/quality/audit").json() == {"audit": None}
    assert client.get("/v1/data-map").json() == {"data_map": None}


def test_findings_stand_with_example_and_suggestion_and_nothing_runs(fresh_shop: Shop) -> None:
    client = filled(fresh_shop)
    page = client.get("/quality").text
    assert "1 thing to look at" in page
    assert "40% came without currency" in page
    assert "mend the code" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "1 that is gone" in page
    assert "1,234" in page
    told = client.get("/v1/quality").json()["findings"]
    assert [(one["subject"], one["resolved_at"] is None) for one in told] == [
        ("currency of Order Completed", True),
        ("old of Order Completed", False),
    ]
    assert client.get("/v1/quality/audit").json()["audit"]["pairs"][0]["score"] == 97.5


def test_the_data_map_names_owners_users_and_what_nothing_uses(fresh_shop: Shop) -> None:
    client = filled(fresh_shop)
    page = client.get("/data-map").text
    assert "1 used by nothing" in page
    assert "segment vip" in page
    assert "nothing: remove it?" in page
    assert "10.0 % without it" in page.replace("\u00a0", " ")
    pieces = client.get("/v1/data-map").json()["data_map"]["pieces"]
    assert [piece["name"] for piece in pieces if piece["unused"]] == ["shoe size"]


def test_strangers_see_nothing(fresh_shop: Shop) -> None:
    filled(fresh_shop)
    stranger = client_of(fresh_shop)
    for path in ("/v1/quality", "/v1/quality/audit", "/v1/data-map"):
        assert stranger.get(path).status_code == 401
    for path in ("/quality", "/data-map"):
        answer = stranger.get(path, follow_redirects=False)
        assert answer.status_code in (303, 401)
        assert "currency" not in answer.text


def test_the_board_says_that_nobody_looked_and_looks_by_mouse(fresh_shop: Shop) -> None:
    names = ("quality", "audit", "data-map")
    found = {name: Job(name=name, title=name, schedule=Schedule(every="1 hour"), run=lambda _: "") for name in names}
    fresh_shop.context = replace(fresh_shop.context, jobs=lambda: found)
    client = client_of(fresh_shop)
    sign_in(client, fresh_shop)
    page = client.get("/quality").text
    assert "Not looked yet" in page
    assert "Nothing looks wrong" not in page
    csrf = csrf_of(page)
    for job, back in (("quality", "/quality"), ("audit", "/quality"), ("data-map", "/data-map")):
        path = f"/quality/run/{job}"
        assert client.post(path, data={"csrf": "x"}, headers=OURS).status_code == 403
        answer = client.post(path, data={"csrf": csrf}, headers=OURS, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, back)
        assert asked_for(fresh_shop.records.meta, job) is not None
        assert "waits for the worker" in client.get(back).text
    assert client.post("/quality/run/history", data={"csrf": csrf}, headers=OURS).status_code in (400, 404, 422)


def test_a_known_finding_is_left_alone_until_its_day(fresh_shop: Shop) -> None:
    client = filled(fresh_shop)
    page = client.get("/quality").text
    key, now = "missing: currency of Order Completed", fresh_shop.context.clock.now()
    day = to_datetime(now).date() + timedelta(days=3)
    form = {"csrf": csrf_of(page), "finding": key, "until": day.isoformat()}
    assert client.post("/quality/known", data=form | {"csrf": "x"}, headers=OURS).status_code == 403
    assert client.post("/quality/known", data=form, headers=OURS).status_code == 303
    page = client.get("/quality").text
    assert "1 known, left alone" in page
    assert "1 thing to look at" not in page
    told = known(fresh_shop.records.meta, key, now)
    assert told is not None
    assert known(fresh_shop.records.meta, key, told.until) is None, "its day has passed"
    findings = client.get("/v1/quality").json()["findings"]
    assert {one["subject"]: (one["known_until"], one["known_by"]) for one in findings} == {
        "currency of Order Completed": (format_iso(told.until), "demo"),
        "old of Order Completed": (None, None),
    }
    call = {"monitor": "missing", "subject": "currency of Order Completed", "until": "2001-01-01"}
    assert client.post("/v1/quality/known", json=call, headers=OURS).status_code == 200
    assert "1 thing to look at" in client.get("/quality").text
    form["until"] = "2999-01-01"
    assert client.post("/quality/known", data=form, headers=OURS).status_code == 400


@pytest.mark.parametrize(
    ("day", "status"),
    [(364, 200), (365, 200), (366, 400), ("9999-12-31", 400), ("0001-01-01", 200), ("2026-13-01", 400)],
)
def test_a_finding_is_left_alone_for_a_year_at_most(fresh_shop: Shop, day: int | str, status: int) -> None:
    client = filled(fresh_shop)
    today = to_datetime(fresh_shop.context.clock.now()).astimezone(fresh_shop.context.project.zone).date()
    until = (today + timedelta(days=day)).isoformat() if isinstance(day, int) else day
    call = {"monitor": "missing", "subject": "currency of Order Completed", "until": until}
    answer = client.post("/v1/quality/known", json=call, headers=OURS)
    assert answer.status_code == status, answer.text
    form = {"csrf": csrf_of(client.get("/quality").text), "finding": "missing: currency of Order Completed"}
    answer = client.post("/quality/known", data=form | {"until": until}, headers=OURS, follow_redirects=False)
    assert answer.status_code in ({200: 303}.get(status, status), 422)


def test_what_was_never_found_is_not_left_alone(fresh_shop: Shop) -> None:
    client = filled(fresh_shop)
    day = to_datetime(fresh_shop.context.clock.now()).date()
    call = {"monitor": "volume", "subject": "whatever", "until": day.isoformat()}
    answer = client.post("/v1/quality/known", json=call, headers=OURS)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "quality.finding"
    form = {"csrf": csrf_of(client.get("/quality").text), "finding": "volume: whatever", "until": day.isoformat()}
    assert client.post("/quality/known", data=form, headers=OURS).status_code == 404
    assert fresh_shop.records.meta.get("finding.known:volume: whatever") is None


def test_a_token_of_an_hour_silences_no_finding_for_longer(fresh_shop: Shop) -> None:
    fill(fresh_shop)
    now, day = fresh_shop.wall.now(), to_datetime(fresh_shop.context.clock.now()).date()
    sources = Sources(fresh_shop.records.sources, fresh_shop.context.tokens, fresh_shop.wall)
    fresh_shop.context = replace(fresh_shop.context, sources=sources)
    client = create_client(fresh_shop.records.sources, "erp", now=now)
    form = {"grant_type": "client_credentials", "client_id": client.id, "client_secret": client.secret}
    door = client_of(fresh_shop)
    token = door.post("/oauth/token", data=form).json()["access_token"]
    call = {
        "monitor": "missing",
        "subject": "currency of Order Completed",
        "until": day.isoformat(),
    }
    answer = door.post("/v1/quality/known", json=call, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    assert "key.token" in answer.text
    key = create_key(fresh_shop.records.sources, "till", server=True, now=now)
    server = {"Authorization": f"Bearer {key}"}
    assert door.post("/v1/quality/known", json=call, headers=server).status_code == 200
