"""Enrichment and signals in the whole program: by e-mail, by IP address, weather and news (cases 22, 30 and 33).

The services are one local server beside the program; what it was asked is the oracle. Then every one of them fails in
another way, the worker is killed in the middle, and mail goes out in time all the same.
"""

import email
import email.policy
import json
import sqlite3
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "unit" / "stores"), str(HERE.parent / "contracts")]

from faulty_http import Asked, FaultyHttp, reply  # noqa: E402
from faulty_http import serving as http_serving  # noqa: E402
from running_project import (  # noqa: E402
    SETTINGS,
    Served,
    Shop,
    done,
    identify,
    make_project,
    opened,
    serving,
    wait_until,
)
from test_places_mmdb import NEW_YORK, written  # noqa: E402

from mailwright.core.events import Events  # noqa: E402
from mailwright.core.instants import MINUTE, Instant, format_iso, parse_iso  # noqa: E402
from mailwright.runtime.installation import service_health  # noqa: E402
from mailwright.runtime.jobs.runs import newest_run  # noqa: E402
from mailwright.runtime.jobs.worker import rest_of  # noqa: E402
from mailwright.runtime.project.versions import apply, plan  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

BROWSER = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0"
PHONE = f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {BROWSER} Mobile Safari/537.36"
LAPTOP = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {BROWSER} Safari/537.36"
TOKYO = {
    "city": {"names": {"en": "Tokyo"}},
    "country": {"iso_code": "JP"},
    "location": {"latitude": 35.69, "longitude": 139.69, "time_zone": "Asia/Tokyo"},
}
KEYS = {"CLEARBIT_KEY": "cb", "FULLCONTACT_KEY": "fc", "OPENWEATHER_KEY": "ow", "NEWSAPI_KEY": "na"}
FIRST = 5
"""The question about a person at which the worker is killed."""

N_MORE = 24
"""People beside Nina in New York and Tomo in Tokyo, of whom nothing but the e-mail address is known."""

FILES = {
    "segments.yaml": """
everyone: {title: Everyone, rule: trait email is known}
wet: {title: In the rain, rule: trait weather.condition = 'rain'}
runners: {title: Where a marathon is, rule: trait news.all contains 'marathon'}
""",
    "attributes.yaml": "city: {title: City, value: geo.city}\ncountry: {title: Country, value: geo.country}\n",
    "content_rules/line.yaml": """
title: What suits the moment
slot: line
rows:
  - {name: early phone, when: local hour between 5 and 8 and device.type = 'mobile', use: {text: Good morning}}
  - {name: phone, when: device.type = 'mobile', use: {text: Short}}
otherwise: {text: At length}
""",
    "templates/note.mjml": """---
subject: "{{ content.line.text }} {{ city }} {{ weather }} {{ headline }} {{ company }}"
---
<mjml lang="en"><mj-body><mj-section><mj-column>
<mj-text>{{ content.line.text }}</mj-text>
<mj-text>{{ sender.postal_address }} <a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
""",
    "campaigns/note.yaml": """
title: Note
audience: trait email is known
schedule: {every: day, at: "11:30"}
send_by: 1 hour
mail:
  template: note
  content_rules: [line]
  variables:
    city: {from: attribute city, fallback: somewhere}
    weather: {from: trait weather.condition, max_age: 6 hours, fallback: any-weather}
    headline: {from: trait news.headline, max_age: 12 hours, fallback: no-news}
    company: {from: trait company, fallback: no-company}
""",
    "lookups/people.yaml": """
preset: clearbit
segment: everyone
url: {url}/person?email={{email}}
timeout: 60 seconds
""",
    "lookups/contacts.yaml": """
preset: fullcontact
segment: everyone
url: {own}/enrich
timeout: 60 seconds
values: {{ ageRange: $.ageRange }}
""",
    "lookups/visitors.yaml": """
preset: clearbit-reveal
segment: everyone
url: {url}/company?ip={{ip}}
values: {{ company_place: $.geoIP.city }}
timeout: 60 seconds
""",
    "lookups/weather.yaml": """
preset: openweather
segment: everyone
url: {url}/weather?q={{city}},{{country}}&appid={{secret}}
place: {{city: attribute city, country: attribute country}}
timeout: 60 seconds
""",
    "lookups/news.yaml": """
preset: newsapi
segment: everyone
url: {url}/news?q={{city}}
place: {{city: attribute city}}
timeout: 60 seconds
""",
}


class Services:
    """What stands outside. A person's company is named by the address that is asked about."""

    def __init__(self, http: FaultyHttp) -> None:
        self.http = http
        self.weather = {"New York": "Rain", "Tokyo": "Clear"}
        self.news = {"New York": "Mayor opens bridge", "Tokyo": "City Marathon on Sunday"}
        self.go_on = threading.Event()
        self.well()

    def well(self) -> None:
        """Everything answers."""
        self.http.answers = {
            "/person": self._answers("email", self._person),
            "/company": self._answers("ip", lambda _: {"geoIP": {"city": "Harbour"}}),
            "/weather": self._answers("q", self._sky),
            "/news": self._answers("q", lambda city: {"status": "ok", "articles": [{"title": self.news[city]}]}),
        }

    def fail(self) -> None:
        """Each fails in its own way; what stands on the port of its own is closed by the test."""

        def hangs(asked: Asked, write: Callable[[bytes], None]) -> None:
            self.http.over.wait(20)

        def dies(asked: Asked, write: Callable[[bytes], None]) -> None:
            write(b'HTTP/1.1 200 X\r\ncontent-length: 2500\r\n\r\n{"geoIP": {"city": "Har')

        def drips(asked: Asked, write: Callable[[bytes], None]) -> None:
            write(b"HTTP/1.1 200 X\r\ncontent-length: 5000\r\n\r\n")
            while not self.http.over.wait(0.1):
                write(b" ")

        self.http.answers = {"/person": hangs, "/company": dies, "/weather": reply(b"", 500), "/news": drips}

    def asked(self, path: str) -> Counter[str]:
        """How often for what."""
        told = [one for one in self.http.seen if urlsplit(one.path).path == path]
        return Counter(next(iter(parse_qs(urlsplit(one.path).query).values()))[0] for one in told)

    def _answers(self, of: str, answer: Callable[[str], object]) -> Callable[[Asked, Callable[[bytes], None]], None]:
        def write_it(asked: Asked, write: Callable[[bytes], None]) -> None:
            told = parse_qs(urlsplit(asked.path).query)[of][0]
            write(reply(json.dumps(answer(told)).encode(), 200, "content-type: application/json\r\n"))

        return write_it

    def _person(self, address: str) -> object:
        # The first few are answered for; the next is kept waiting, so that the worker is killed in the middle.
        while len(self.asked("/person")) >= FIRST and not self.go_on.wait(0.02) and not self.http.over.is_set():
            pass
        return {"company": {"name": company(address.partition("@")[0])}}

    def _sky(self, place: str) -> object:
        return {"weather": [{"main": self.weather[place.partition(",")[0]]}], "main": {"temp": 3}, "wind": {"speed": 2}}


def company(user: str) -> str:
    """Where the service says somebody works."""
    return f"{user.title()} Ltd"


class Town:
    """The running program, its virtual clock and its mailbox."""

    def __init__(self, folder: Path, shop: Shop) -> None:
        self.folder, self.shop, self.there = folder, shop, shop.there
        self._read: set[str] = set()

    def jobs_until(self, at: str) -> None:
        """Let time come to `at`, wait for the jobs that are due then, and let what they told take effect."""
        self.shop.tick(at)
        wait_until(f"jobs at {at}", lambda: rest_of(self.there.records.meta)[1] >= parse_iso(at))
        self.shop.tick(format_iso(Instant(parse_iso(at) + 1)))

    def told(self, user: str) -> dict:
        return self.shop.get(f"/v1/people/user_id:{user}")["traits"]

    def members(self, segment: str) -> int:
        return self.shop.get(f"/v1/segments/{segment}")["size"]

    def new_mails(self) -> dict[str, str]:
        """Recipient -> subject of what has arrived since this was asked last."""
        paths = {path.name: path for path in (self.folder / "data" / "mailbox").glob("*.eml")}
        new = [paths[name] for name in sorted(paths.keys() - self._read)]
        self._read |= paths.keys()
        read = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in new]
        return {mail["To"].partition("@")[0]: " ".join(mail["Subject"].split()) for mail in read}

    def hand_over_ms(self) -> dict[str, float]:
        """Milliseconds between a message's claim and its hand-over, by send key: a trigger notes when it is claimed."""
        with closing(sqlite3.connect(self.folder / "data" / "records.sqlite")) as database:
            claimed = dict(database.execute("SELECT send_key, min(at) FROM probe GROUP BY send_key").fetchall())
        paths = (self.folder / "data" / "mailbox").glob("*.eml")
        return {path.stem: 1000 * (path.stat().st_mtime - claimed[path.stem]) for path in paths}


def watch_claims(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "data" / "records.sqlite")) as database:
        database.executescript(
            "CREATE TABLE probe (send_key TEXT, at REAL);"
            "CREATE TRIGGER probe AFTER UPDATE OF lease_until ON message "
            "WHEN OLD.lease_until IS NULL AND NEW.lease_until IS NOT NULL BEGIN "
            "INSERT INTO probe VALUES (NEW.send_key, (julianday('now') - 2440587.5) * 86400.0); END;"
        )


def visit(user: str, ip: str, agent: str) -> dict:
    context = {"ip": ip, "userAgent": agent, "page": {"url": "https://my-shop.example/"}}
    return {"type": "page", "messageId": f"page-{user}-{ip}", "userId": user, "context": context}


@contextmanager
def town(tmp_path: Path, services: Services, own: FaultyHttp) -> Iterator[tuple[Town, Served]]:
    allowed = f'\n[outgoing]\nallow = ["127.0.0.1:{services.http.port}", "127.0.0.1:{own.port}"]\n'
    context = '\n[context]\nplace_file = "places.mmdb"\nip = "whole"\n'
    folder = make_project(tmp_path / "shop", SETTINGS + context + allowed)
    for path in [*folder.rglob("*.yaml"), *folder.rglob("*.mjml")]:
        path.unlink()
    (folder / "lookups").mkdir()
    for name, text in FILES.items():
        where = {"url": services.http.url("").rstrip("/"), "own": own.url("").rstrip("/")}
        (folder / name).write_text(text.format(**where) if name.startswith("lookups/") else text)
    written(folder / "places.mmdb", {"198.51.100.0/24": NEW_YORK, "203.0.113.0/24": TOKYO})
    with opened(folder) as there:
        apply(there, plan(there))
    watch_claims(folder)
    with serving(folder, KEYS, jobs=True) as served, opened(folder) as there:
        yield Town(folder, Shop(there, served)), served


def test_people_are_enriched_and_signals_followed_whatever_services_do(tmp_path: Path) -> None:
    users = ["nina", "tomo", *(f"u{n}" for n in range(N_MORE))]
    with ExitStack() as stack, http_serving() as http:
        services, own = Services(http), stack.enter_context(http_serving())
        own.json("/enrich", {"ageRange": "35-44"})
        with town(tmp_path, services, own) as (here, served):
            _well(here, served, services, users)
            well = _another_day(here, services)
            stack.close()  # from here on nobody listens where contacts are asked
            faulty = _faults(here, served, services, users)
    figures = [f"{statistics.median(each):.0f} ms, at most {max(each):.0f} ms" for each in (well, faulty)]
    print(f"from claim to hand-over: {figures[0]} with services well; {figures[1]} with all of them failing")


def _well(here: Town, served: Served, services: Services, users: list[str]) -> None:
    """Everybody is enriched once, by e-mail and by IP address, also though the worker is killed in the middle of it."""
    shop = here.shop
    shop.batch([identify(user, f"{user}@example.com") for user in users])
    shop.consent([f"{user}@example.com" for user in users])
    shop.batch([visit("nina", "198.51.100.7", PHONE), visit("tomo", "203.0.113.7", LAPTOP)])
    shop.tick("2026-11-02T10:29:00Z")
    others = [f"lookup:{name}" for name in ("contacts", "visitors", "weather", "news")]
    meta = here.there.records.meta
    wait_until("the others are done", lambda: all(newest_run(meta, name) for name in others))
    wait_until("people are asked about", lambda: len(services.asked("/person")) >= FIRST)
    served.kill("worker")
    services.go_on.set()
    here.jobs_until("2026-11-02T10:31:00Z")
    assert {user: here.told(user)["company"]["value"] for user in users} == {user: company(user) for user in users}
    nina = here.told("nina")
    assert (nina["company"]["source"], nina["company"]["at"][:13]) == ("lookup:people", "2026-11-02T10")
    assert (nina["ageRange"]["value"], nina["ageRange"]["source"]) == ("35-44", "lookup:contacts")
    assert (nina["company_place"]["value"], nina["company_place"]["source"]) == ("Harbour", "lookup:visitors")
    assert "company_place" not in here.told("u0")
    shown = _page(served, shop.get("/v1/people/user_id:nina")["person"])
    assert "lookup:people" in shown
    assert "lookup:visitors" in shown

    asked = services.asked("/person")
    assert set(asked) == {f"{user}@example.com" for user in users}
    assert sum(asked.values()) <= len(users) + 20, "at most what one kill broke off is asked again"
    before = (services.asked("/person"), services.asked("/company"))
    for minute in range(32, 36):
        here.jobs_until(f"2026-11-02T10:{minute}:00Z")
    assert (services.asked("/person"), services.asked("/company")) == before, "what is known is not asked again"
    assert services.asked("/weather") == {"New York,US": 1, "Tokyo,JP": 1}
    told = Counter((one.source, one.message_id) for one in _events(here) if one.source.startswith("lookup:"))
    assert [one for one, n in told.items() if n > 1] == [], "nothing is told twice"
    assert Counter(source for source, _ in told)["lookup:people"] == len(users)

    here.shop.tick("2026-11-02T11:30:00Z")
    mails = here.new_mails()
    assert mails["nina"] == "Good morning New York rain Mayor opens bridge Nina Ltd"
    assert mails["tomo"] == "At length Tokyo clear City Marathon on Sunday Tomo Ltd"
    assert mails["u0"] == "At length somewhere any-weather no-news U0 Ltd"
    assert (here.members("wet"), here.members("runners")) == (1, 1)


def _another_day(here: Town, services: Services) -> list[float]:
    """The same mail says something else once the weather, the news, the place and the device have changed."""
    earlier = here.hand_over_ms().keys()
    services.weather["New York"], services.news["New York"] = "Snow", "Marathon through five boroughs"
    here.shop.move_clock("2026-11-03T09:00:00Z")
    here.shop.batch([visit("tomo", "198.51.100.9", PHONE)])
    for hour in ("09:01", "10:30", "11:29"):
        here.jobs_until(f"2026-11-03T{hour}:00Z")
    assert (here.members("wet"), here.members("runners")) == (0, 2)
    here.shop.tick("2026-11-03T11:30:00Z")
    mails = here.new_mails()
    assert mails["nina"] == "Good morning New York snow Marathon through five boroughs Nina Ltd"
    assert mails["tomo"] == "Good morning New York snow Marathon through five boroughs Tomo Ltd"
    return [ms for key, ms in here.hand_over_ms().items() if key not in earlier]


def _faults(here: Town, served: Served, services: Services, users: list[str]) -> list[float]:
    """Every service fails in another way while new people come: all mail goes out, with its fallbacks."""
    earlier = here.hand_over_ms().keys()
    for name in ("people", "news"):
        lookup = here.folder / "lookups" / f"{name}.yaml"
        lookup.write_text(lookup.read_text().replace("timeout: 60 seconds", "timeout: 1 second"))
    apply(here.there, plan(here.there))
    services.fail()
    here.shop.move_clock("2026-11-04T11:00:00Z")
    late = [f"late{n}" for n in range(8)]
    here.shop.batch([identify(user, f"{user}@example.com") for user in late])
    here.shop.consent([f"{user}@example.com" for user in late])
    here.shop.batch([visit(user, f"198.51.100.{n}", PHONE) for n, user in enumerate(late, 20)])
    n_asked = len(services.http.seen)
    here.shop.tick("2026-11-04T11:29:00Z")
    wait_until("services are asked and fail", lambda: len(services.http.seen) > n_asked)
    here.shop.tick("2026-11-04T11:30:00Z")  # comes to rest while they hang
    mails = here.new_mails()
    assert set(mails) == {*users, *late}
    assert mails["nina"] == "Good morning New York any-weather no-news Nina Ltd"
    assert mails["late0"] == "Good morning New York any-weather no-news no-company"
    took = [ms for key, ms in here.hand_over_ms().items() if key not in earlier]
    served.kill("worker")

    meta, minute = here.there.records.meta, 31
    for name in ("people", "weather", "news", "visitors"):
        while service_health(meta, f"lookup:{name}").state != "paused":
            here.jobs_until(f"2026-11-04T11:{minute}:00Z")
            minute += 1
    assert "is paused until" in done("status", "--project", str(here.folder))

    services.well()
    at = parse_iso("2026-11-04T12:00:00Z")
    deadline = time.monotonic() + 900  # a pause lasts up to ten minutes of the machine's clock, if much failed before

    def known() -> bool:
        return all({"company", "company_place"} <= here.told(user).keys() for user in late)

    while not known():
        assert time.monotonic() < deadline, [sorted(here.told(user)) for user in late]
        here.jobs_until(format_iso(at))
        at = Instant(at + MINUTE)
    told = Counter((one.source, one.message_id) for one in _events(here) if one.source.startswith("lookup:"))
    assert [one for one, n in told.items() if n > 1] == []
    assert sum(1 for source, _ in told if source == "lookup:people") == len(users) + len(late)
    return took


def _events(here: Town) -> list:
    return [
        event
        for record in here.there.log.read(0, 100_000)
        if isinstance(record.body, Events)
        for event in record.body.events
    ]


def _page(served: Served, person: int) -> str:
    link = next(word for word in served.told().split() if "/login" in word)
    with httpx.Client(headers={"Sec-Fetch-Site": "same-origin"}) as client:
        assert client.post(link).status_code == 303
        return client.get(f"{served.base_url}/people/{person}").text
