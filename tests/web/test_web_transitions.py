"""Transitions by long poll and WebSocket, through a real server and a real engine: nothing lost, nothing twice."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_shop import Live, live_shop, wait_for
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_to

from mailwright.web import api_transitions
from mailwright.web.sessions import new_login_link


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_shop(tmp_path_factory.mktemp("live")) as made:
        yield made


@pytest.fixture
def own_shop(tmp_path: Path) -> Iterator[Live]:
    with live_shop(tmp_path) as made:
        yield made


def connect(address: str, **more: Any) -> ClientConnection:
    """A connection that does not end for want of answers: a reader that reads nothing sees no answer to its pings."""
    return connect_to(address, ping_interval=None, open_timeout=120, close_timeout=120, **more)


def opened(shop: Live, query: str = "", **more: Any) -> ClientConnection:
    return connect(shop.stream(query), additional_headers=shop.auth, **more)


def received(socket: ClientConnection, n: int) -> list[dict[str, Any]]:
    """The next `n` transitions; messages that only tell a cursor are passed over."""
    found: list[dict[str, Any]] = []
    while len(found) < n:
        told = json.loads(socket.recv(timeout=60))
        if "segment" in told:
            found.append(told)
    return found


def polled(shop: Live, after: str, n: int, **params: Any) -> list[dict[str, Any]]:
    """`n` transitions by long poll."""
    found: list[dict[str, Any]] = []
    while len(found) < n:
        page = shop.get("/v1/transitions", after=after, wait=30, **params).json()
        found += page["transitions"]
        after = page["cursor"]
    return found


def test_an_event_at_the_door_is_seen_at_the_socket(shop: Live) -> None:
    with opened(shop, "?segment=customers") as socket:
        first = json.loads(socket.recv(timeout=60))
        assert list(first) == ["cursor"]
        shop.track("seen", "Order Completed", "seen-1")
        (told,) = received(socket, 1)
    assert {key: told[key] for key in ("identifier", "segment", "entered", "cause")} == {
        "identifier": "user_id:seen",
        "segment": "customers",
        "entered": True,
        "cause": "event",
    }
    profile = shop.get("/v1/people/user_id:seen").json()
    assert profile["person"] == told["person"]
    assert profile["segments"] == ["customers"]
    assert profile["attributes"]["orders"]["value"] == 1


def test_a_reader_that_comes_back_gets_exactly_the_rest(shop: Live) -> None:
    start = shop.get("/v1/transitions").json()["cursor"]
    users = [f"back-{n}" for n in range(40)]
    for number in range(3):
        shop.tracks(users, "Order Completed", f"b{number}")
    whole = polled(shop, start, 80)
    assert sorted((one["identifier"], one["segment"]) for one in whole) == sorted(
        (f"user_id:{user}", segment) for user in users for segment in ("customers", "loyal")
    )
    assert polled(shop, start, 80, limit=7) == whole
    for place in (0, 17, 39, 60):
        with opened(shop, f"?after={whole[place]['cursor']}") as socket:
            assert received(socket, 79 - place) == whole[place + 1 :]
    with opened(shop, f"?after={start}&segment=loyal") as socket:
        assert received(socket, 40) == [one for one in whole if one["segment"] == "loyal"]
        shop.track("back-x", "Order Completed", "x1")  # not loyal: passed over
        shop.track("back-y", "Order Completed", "y1")
        shop.track("back-y", "Order Completed", "y2")
        shop.track("back-y", "Order Completed", "y3")
        assert [one["identifier"] for one in received(socket, 1)] == ["user_id:back-y"]


def test_what_the_engine_has_forgotten_comes_from_history(shop: Live) -> None:
    start = shop.get("/v1/transitions").json()["cursor"]
    shop.tracks([f"old-{n}" for n in range(9)], "Order Completed", "o")
    whole = polled(shop, start, 9)
    shop.client.flush_history()

    def forget(state: Any) -> None:
        state.recent._rows.clear()
        state.recent.since = state.recent.upto

    shop.engine.ask(forget).result(60)
    with opened(shop, f"?after={start}") as socket:
        assert received(socket, 9) == whole
        shop.track("old-new", "Order Completed", "on")
        assert received(socket, 1)[0]["identifier"] == "user_id:old-new"
    everything = shop.get("/v1/transitions", after="0", segment="customers", limit=5000).json()["transitions"]
    cursors = [one["cursor"] for one in everything]
    first = cursors.index(whole[0]["cursor"])
    assert everything[first : first + 9] == whole


def test_a_poll_waits_for_what_comes_and_no_longer(shop: Live) -> None:
    cursor = shop.get("/v1/transitions").json()["cursor"]
    began = time.monotonic()
    empty = shop.get("/v1/transitions", after=cursor, wait=0.3).json()
    assert empty["transitions"] == []
    assert time.monotonic() - began >= 0.3
    late = threading.Timer(0.5, shop.track, ("poll", "Order Completed", "p1"))
    late.start()
    told = shop.get("/v1/transitions", after=cursor, wait=30).json()
    assert [one["identifier"] for one in told["transitions"]] == ["user_id:poll"]
    late.join()


def test_a_slow_reader_is_cut_off_with_a_code_and_goes_on_where_it_was(
    shop: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = shop.get("/v1/transitions").json()["cursor"]
    n = 12_000
    users = [f"slow-{number:0100}" for number in range(n)]  # more than the buffers on the way take
    found: list[dict[str, Any]] = []
    with (
        monkeypatch.context() as patch,
        opened(shop, f"?after={start}&segment=lookers", max_queue=1, compression=None) as socket,
    ):
        shop.tracks(users[:1], "Product Viewed", "s")
        found += received(socket, 1)  # it is followed, and has something to go on from
        patch.setattr(api_transitions, "SLOW_S", 0.5)
        patch.setattr(api_transitions, "FAREWELL_S", 120)
        for place in range(0, n, 1000):
            shop.tracks(users[place : place + 1000], "Product Viewed", f"s{place}")
        polled(shop, start, n, segment="lookers", limit=5000)
        # It reads nothing: the stream must not wait for it, nor keep what it does not take.
        wait_for(lambda: not shop.app.state.tail._followers, "the slow reader is not cut off")
        with pytest.raises(ConnectionClosed) as closed:
            found.extend(iter(lambda: received(socket, 1)[0], None))
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4008, "too slow: reconnect with the last cursor")
    assert 0 < len(found) < n
    with opened(shop, f"?after={found[-1]['cursor']}&segment=lookers") as socket:
        found += received(socket, n - len(found))
    assert sorted(one["identifier"] for one in found) == sorted(f"user_id:{user}" for user in users)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "login.needed"),
        ({"Authorization": "Bearer pk_live"}, 401, "key.unknown"),
        ({"Authorization": "Bearer nonsense"}, 401, "key.unknown"),
    ],
)
def test_strangers_are_refused_before_the_socket_opens(
    shop: Live, headers: dict[str, str], status: int, code: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(shop.stream(), additional_headers=headers)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["error"]["code"] == code


def test_a_session_opens_the_socket_from_our_own_pages_alone(shop: Live) -> None:
    context = shop.app.state.context
    with httpx.Client(base_url=shop.base_url, timeout=60) as browser:
        link = new_login_link(context.records.users, context.lease_clock, shop.base_url, "ada")
        browser.post(link, headers={"Sec-Fetch-Site": "same-origin"})
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    with connect(shop.stream(), additional_headers=cookie, origin=shop.base_url) as socket:
        assert "cursor" in json.loads(socket.recv(timeout=60))
    for origin in ("https://elsewhere.example", None):
        with pytest.raises(InvalidStatus) as refused:
            connect(shop.stream(), additional_headers=cookie, origin=origin)
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize(("query", "status"), [("?after=nonsense", 400), ("?segment=none", 404)])
def test_a_wrong_parameter_is_told(shop: Live, query: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(shop, query)
    assert refused.value.response.status_code == status
    answer = httpx.get(f"{shop.base_url}/v1/transitions{query}", headers=shop.auth, timeout=60)
    assert answer.status_code == status


def test_too_many_readers_are_told_so(shop: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailwright.web.tail.MOST_FOLLOWERS", 0)
    with opened(shop) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=60)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013


def test_the_door_stops_although_somebody_waits(own_shop: Live) -> None:
    cursor = own_shop.get("/v1/transitions").json()["cursor"]
    poll = threading.Thread(target=own_shop.get, args=("/v1/transitions",), kwargs={"after": cursor, "wait": 50})
    poll.start()
    with opened(own_shop) as socket:
        socket.recv(timeout=60)
        # The rest is in the fixture: it fails if the server does not end.
        own_shop.app.state.tail.close_soon()
        poll.join(40)  # it asked for 50 s
        assert not poll.is_alive()
        with pytest.raises(ConnectionClosed) as closed:
            received(socket, 1)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
