"""Lookups as jobs, against a real HTTP server and the real fold: enrichment by e-mail and IP, and the weather."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import msgspec
import pytest

sys.path[:0] = [str(Path(__file__).parents[2] / "contracts")]

from engine_world import BLOBS  # noqa: E402
from faulty_http import FaultyHttp, reply, serving  # noqa: E402

from mailwright.core.errors import InvalidInput  # noqa: E402
from mailwright.core.events import Defined, Events, Person, Tick  # noqa: E402
from mailwright.core.facts import PersonFacts  # noqa: E402
from mailwright.core.instants import DAY, HOUR, MINUTE, Instant, parse_iso  # noqa: E402
from mailwright.core.outside import WebhookTally  # noqa: E402
from mailwright.core.sources import QuarantineFilter  # noqa: E402
from mailwright.decisions.mail import VariableDefinition  # noqa: E402
from mailwright.decisions.variables import resolve  # noqa: E402
from mailwright.ingest.plan import EventPlan, TrackingPlan  # noqa: E402
from mailwright.ingest.segment import IngestRules, Source, parse_request  # noqa: E402
from mailwright.privacy.keys import KeyRing  # noqa: E402
from mailwright.privacy.sealing import Sealer  # noqa: E402
from mailwright.runtime.engine import reads  # noqa: E402
from mailwright.runtime.engine.state import EngineState, Folded  # noqa: E402
from mailwright.runtime.jobs.registry import JOBS_OF  # noqa: E402
from mailwright.runtime.lookups import lookup_jobs, webhook_jobs  # noqa: E402
from mailwright.runtime.presets import preset_names  # noqa: E402
from mailwright.runtime.project.load import load_project  # noqa: E402
from mailwright.runtime.quarantine import Quarantine  # noqa: E402
from mailwright.stores.fetch_guard import Guard  # noqa: E402
from mailwright.stores.fetch_httpx import HttpxFetch  # noqa: E402
from mailwright.stores.memory import MemoryEventLog  # noqa: E402
from mailwright.stores.records_sql import SqlRecords  # noqa: E402

NOW = parse_iso("2026-11-22T09:00:00Z")
FILES = {
    "segments.yaml": (
        "everyone: {title: Everyone, rule: count of 'None Such' >= 0}\n"
        "wet: {title: In the rain, rule: trait weather.condition = 'rain'}\n"
        "runners: {title: Where a marathon is, rule: trait news.all contains 'marathon'}\n"
    ),
    "attributes.yaml": "town: {title: Town, value: trait town}\n",
}
WEATHER = """
preset: openweather
segment: everyone
url: {url}/weather?q={{city}},{{country}}&appid={{secret}}
"""
PERSON = """
preset: clearbit
segment: everyone
url: {url}/person?email={{email}}
"""
ADDRESS = """
preset: clearbit-reveal
segment: everyone
url: {url}/company?ip={{ip}}
"""
NEWS = """
preset: newsapi
segment: everyone
url: {url}/news?q={{city}}
place: {{city: attribute town}}
"""
ANSWER = {
    "person": {"name": {"givenName": "Ada", "familyName": "Byron"}, "geo": {"city": "London", "countryCode": "GB"}},
    "company": {"name": "Engines", "domain": "engines.example", "metrics": {"employees": 12}},
}


class Hands:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> Instant:
        return self.at


class FoldedReads:
    """EngineReads over the fold of a log."""

    def __init__(self, log: MemoryEventLog) -> None:
        self.log, self.state = log, EngineState(BLOBS.get)

    def catch_up(self, now: Instant) -> None:
        self.log.append([Tick()], now)
        for record in self.log.read(self.state.number, 1_000):
            self.state.apply(record, Folded())

    def facts(self, persons: Sequence[Person], conditions: Sequence[str] = ()) -> dict[Person, PersonFacts]:
        return reads.facts(self.state, persons, conditions)

    def members(self, segment: str, after: Person | None, limit: int) -> list[Person]:
        return reads.members(self.state, segment, after, limit)

    def find(self, kind: str, value: str) -> Person | None:
        return next(iter(reads.find(self.state, kind, value)), None)


class World:
    """An installation in memory, with a service beside it."""

    def __init__(self, folder: Path, server: FaultyHttp, lookup: str) -> None:
        self.server, self.hands, self.log = server, Hands(), MemoryEventLog()
        self.records = SqlRecords.open(folder / "records.sqlite")
        self.sealer = Sealer(KeyRing.generate())
        files = {**FILES, "lookups/it.yaml": lookup.format(url=f"http://127.0.0.1:{server.port}")}
        self.project = load_project(files)
        self.log.append([Defined(version=1, files=files)], NOW)
        self.engine = FoldedReads(self.log)
        self.fetch = HttpxFetch(Guard(allow=["127.0.0.1"]), self.hands)
        self.there: Any = SimpleNamespace(
            log=self.log, records=self.records, engine=self.engine, clock=self.hands, wall=self.hands,
            sealer=self.sealer, fetch=self.fetch, resolve=None,
        )  # fmt: skip
        self.engine.catch_up(NOW)

    def tell(self, *calls: dict[str, Any]) -> None:
        parsed = parse_request(
            "batch", msgspec.json.encode({"batch": calls}), IngestRules(sealer=self.sealer), source=Source("shop"),
            received_at=self.hands.at, new_id=lambda: str(uuid4()),
        )  # fmt: skip
        assert parsed.refused == []
        self.log.append([Events(list(parsed.events))], self.hands.at)
        self.engine.catch_up(self.hands.at)

    def run(self, move: int = 0) -> str:
        self.hands.at = Instant(self.hands.at + move)
        [job] = lookup_jobs(self.project, SimpleNamespace())
        context = SimpleNamespace(there=self.there, project=self.project, now=self.hands.at, stopping=lambda: False)
        said = job.run(context)
        self.engine.catch_up(self.hands.at)
        return said

    def person(self, user: str) -> PersonFacts:
        found = self.engine.find("user_id", user)
        assert found is not None
        return self.engine.facts([found])[found]

    def clear(self, user: str, trait: str) -> Any:
        known = self.person(user).traits.get(trait)
        value = known.value if known else None
        return self.sealer.unseal(value) if self.sealer.is_sealed(value) else value


@pytest.fixture
def server() -> Iterator[FaultyHttp]:
    with serving() as http:
        yield http


@pytest.fixture
def world(tmp_path: Path, server: FaultyHttp, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENWEATHER_KEY", "k3y")
    monkeypatch.setenv("CLEARBIT_KEY", "k3y")
    monkeypatch.setenv("NEWSAPI_KEY", "k3y")
    made: list[World] = []

    def make(lookup: str) -> World:
        made.append(World(tmp_path, server, lookup))
        return made[-1]

    yield make
    for one in made:
        one.records.close()
        one.fetch.close()


def known(user: str, **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user, "traits": traits}


def weather(server: FaultyHttp, condition: str) -> None:
    server.json("/weather", {"weather": [{"main": condition}], "main": {"temp": 4.5}, "wind": {"speed": 3}})


def test_a_rule_and_a_mail_change_with_the_weather(world, server):
    shop = world(WEATHER)
    weather(server, "Rain")
    address = {"city": "Bergen", "country": "NO"}
    shop.tell(known("ada", address=address), known("bob", address=address), known("cyd", address={"city": "Rome"}))
    assert shop.run() == "asked 1, told 2"
    assert server.seen[0].path == "/weather?q=Bergen,NO&appid=k3y"
    variable = VariableDefinition(source="trait weather.condition", max_age="2 days", fallback="any")

    def seen() -> list[Any]:
        ada = shop.person("ada")
        told = resolve("weather", variable, ada, [], shop.hands.at)
        return [ada.segments, told.value, told.used, told.origin]

    assert seen() == [["everyone", "wet"], "rain", "value", "lookup:it"]
    assert "weather" not in shop.person("cyd").traits
    weather(server, "Clear")
    assert shop.run(MINUTE) == ""  # it holds for an hour
    assert shop.run(HOUR) == "asked 1, told 2"
    assert seen()[:2] == [["everyone"], "clear"]
    before = shop.log.last()[0]
    assert shop.run(HOUR) == "asked 1, told 0"  # as before: nobody is told
    assert len([one for one in shop.log.read(before, 99) if isinstance(one.body, Events)]) == 0
    server.answers["/weather"] = reply(b"", 500)
    shop.run(3 * DAY)
    assert seen()[1:3] == ["any", "fallback"]  # too old for the mail, which goes out all the same


def test_a_rule_and_a_mail_change_with_the_news(world, server):
    shop = world(NEWS)

    def news(*titles: str) -> None:
        articles = [{"title": one, "url": f"https://news.example/{n}"} for n, one in enumerate(titles)]
        server.json("/news", {"status": "ok", "totalResults": len(titles), "articles": articles})

    news("Mayor opens bridge", "City Marathon on Sunday")
    shop.tell(known("ada", town="Bergen"), known("bob", town="Bergen"), known("cyd"))
    assert shop.run() == "asked 1, told 2"
    assert (server.seen[0].path, server.seen[0].headers["x-api-key"]) == ("/news?q=Bergen", "k3y")
    variable = VariableDefinition(source="trait news.headline", max_age="1 day", fallback="")

    def seen() -> list[Any]:
        ada = shop.person("ada")
        return [ada.segments, resolve("headline", variable, ada, [], shop.hands.at).value]

    assert seen() == [["everyone", "runners"], "Mayor opens bridge"]
    news("Rain for a week")
    shop.run(6 * HOUR)
    assert seen() == [["everyone"], "Rain for a week"]
    news()
    shop.run(6 * HOUR)
    shop.run(DAY)
    assert seen()[1] == ""  # nothing new: yesterday's headline is too old for the mail


def test_an_unchanged_value_is_told_again_after_a_day(world, server):
    shop = world(WEATHER)
    weather(server, "Rain")
    shop.tell(known("ada", address={"city": "Bergen", "country": "NO"}))
    shop.run()
    assert shop.run(DAY) == "asked 1, told 1"
    assert shop.person("ada").traits["weather"].at == shop.hands.at


def test_a_person_is_enriched_by_email_once_and_with_provenance(world, server):
    shop = world(PERSON)
    server.json("/person", ANSWER)
    shop.tell(known("ada", email="ada@engines.example", city="Paris"), known("bob", plan="x"))
    assert shop.run() == "asked 1, told 1"
    assert server.seen[0].path == "/person?email=ada%40engines.example"
    assert server.seen[0].headers["authorization"] == "Bearer k3y"
    ada = shop.person("ada")
    assert ada.traits["company"].value == "Engines"
    assert (ada.traits["company"].source, ada.traits["company"].at) == ("lookup:it", shop.hands.at)
    assert (shop.clear("ada", "firstName"), ada.traits["city"].value) == ("Ada", "Paris")  # it fills, not overwrites
    assert "Byron" not in str([record.body for record in shop.log.read(0, 99)])
    assert shop.run(MINUTE) == ""
    assert shop.run(90 * DAY) == "asked 1, told 0"
    shop.tell(known("ada", email="new@engines.example"))
    assert shop.run(MINUTE) == "asked 1, told 0"
    assert shop.records.lookups.count("it")[:2] == (2, 2)


COMPANY = """
title: Where people work
segment: everyone
by: email
url: {url}/person?email={{email}}
values: {{company: $.company}}
overwrite: true
every: 7 days
"""


def test_a_value_that_comes_back_is_told_again_but_not_twice_after_a_kill(world, server, monkeypatch):
    shop = world(COMPANY)
    shop.tell(known("ada", email="ada@engines.example"))
    for company in ("Acme", "Beta", "Acme"):
        server.json("/person", {"company": company})
        with monkeypatch.context() as killed:  # it is in the log, but not yet known to have been told
            killed.setattr(shop.engine, "catch_up", lambda _: None)
            killed.setattr(type(shop.records.lookups), "keep", lambda *_: None)
            assert shop.run(8 * DAY) == "asked 1, told 1"
        assert shop.run(MINUTE) == "asked 1, told 1"
        assert shop.person("ada").traits["company"].value == company
    assert shop.person("ada").n_events == 4, "the address and each change, once"


def test_an_answer_that_could_not_be_told_is_not_taken_for_told(world, server, monkeypatch):
    shop = world(PERSON)
    server.json("/person", ANSWER)
    shop.tell(known("ada", email="ada@engines.example"))
    with monkeypatch.context() as broken:
        broken.setattr(shop.log, "append", lambda *_: exec("raise OSError('the disk is gone')"))
        with pytest.raises(OSError, match="the disk is gone"):
            shop.run()
    assert shop.run(MINUTE) == "asked 1, told 1"
    assert shop.person("ada").traits["company"].value == "Engines"


def test_what_the_service_does_not_know_is_remembered(world, server):
    shop = world(PERSON)
    shop.tell(known("ada", email="ada@engines.example"))
    assert shop.run() == "asked 1, told 0"  # 404
    assert shop.run(DAY) == ""
    assert shop.records.lookups.count("it")[:2] == (1, 0)


def test_a_person_is_enriched_by_address(world, server):
    shop = world(ADDRESS)
    server.json("/company", {"domain": "engines.example", "company": {"name": "Engines"}})
    shop.tell({"type": "page", "anonymousId": "visitor", "context": {"ip": "203.0.113.9"}})
    assert shop.run() == "asked 1, told 1"
    assert server.seen[0].path == "/company?ip=203.0.113.9"
    person = shop.engine.find("anonymous_id", "visitor")
    assert shop.engine.facts([person])[person].traits["company"].value == "Engines"
    assert shop.run(MINUTE) == ""


def test_addresses_wait_for_a_service_that_is_down_and_one_that_always_fails_holds_up_no_other(world, server):
    shop = world(ADDRESS)
    server.answers["/company"] = reply(b"", 500)
    shop.tell({"type": "page", "anonymousId": "visitor", "context": {"ip": "203.0.113.9"}})
    shop.run()
    server.json("/company", {"domain": "engines.example", "company": {"name": "Engines"}})
    assert shop.run(MINUTE) == "asked 1, told 1"
    shop.tell({"type": "page", "anonymousId": "odd", "context": {"ip": "203.0.113.10"}})
    well = server.answers["/company"]
    server.answers["/company"] = lambda asked, write: write(reply(b"<html>") if "113.10" in asked.path else well)
    for _ in range(12):  # nobody else comes, so it may be the service that is at fault
        assert shop.run(MINUTE) == "asked 1, told 0; 1 got no answer: its answer is no JSON"
    shop.tell({"type": "page", "anonymousId": "next", "context": {"ip": "203.0.113.11"}})
    assert shop.run(MINUTE) == "asked 2, told 1; 1 got no answer: its answer is no JSON"
    assert shop.run(MINUTE) == ""  # it was not


def test_of_a_service_that_answers_with_nonsense_a_run_asks_five_times(world, server):
    shop = world(PERSON)
    server.answers["/person"] = reply(b"<html>We are back soon</html>")
    shop.tell(*[known(f"u{n}", email=f"u{n}@engines.example") for n in range(8)])
    assert shop.run() == "asked 5, told 0; 5 got no answer: its answer is no JSON"
    for _ in range(40):
        shop.run(MINUTE)
    assert len({one.path for one in server.seen}) == 8, "those behind them have their turn, too"
    server.json("/person", ANSWER)
    assert shop.run(MINUTE) == "asked 8, told 8"


@pytest.mark.parametrize("answer", [reply(b"", 500), reply(b"<html>"), reply(b"{", 200), b"", reply(b"[1]")])
def test_a_faulty_service_spoils_nothing_and_is_asked_again(world, server, answer):
    shop = world(PERSON)
    server.answers["/person"] = answer
    shop.tell(known("ada", email="ada@engines.example"))
    shop.run()
    assert "company" not in shop.person("ada").traits
    server.json("/person", ANSWER)
    shop.run(91 * DAY)
    assert shop.person("ada").traits["company"].value == "Engines"


def test_a_service_that_asks_for_a_pause_gets_it(world, server):
    shop = world(PERSON)
    server.answers["/person"] = reply(b"", 429, "Retry-After: 120\r\n")
    shop.tell(*[known(f"u{n}", email=f"u{n}@engines.example") for n in range(4)])
    assert "left alone for 120 s" in shop.run()
    assert len(server.seen) == 1
    assert shop.fetch.services.health("lookup:it").state == "paused"
    server.json("/person", ANSWER)
    assert shop.run(2 * MINUTE) == "asked 4, told 4"


def test_the_budget_ends_a_run_and_the_next_one_goes_on(world, server):
    shop = world(PERSON + "per_minute: 3\n")
    server.json("/person", ANSWER)
    shop.tell(*[known(f"u{n}", email=f"u{n}@engines.example") for n in range(5)])
    assert "asked 3, told 3; " in shop.run()
    assert shop.run(MINUTE) == "asked 2, told 2"


def test_without_its_key_a_lookup_says_so(world, monkeypatch):
    shop = world(PERSON)
    monkeypatch.delenv("CLEARBIT_KEY")
    shop.tell(known("ada", email="ada@engines.example"))
    assert shop.run() == "the lookup it cannot ask: CLEARBIT_KEY is not set"


def test_what_the_plan_holds_back_of_an_answer_is_kept_and_counted_once(world, server):
    shop = world(WEATHER)
    plan = EventPlan(properties={"weather": "text"}, violation="quarantine")
    shop.project = replace(shop.project, tracking_plan=TrackingPlan(identify=plan))
    weather(server, "Rain")
    shop.tell(known("ada", address={"city": "Bergen", "country": "NO"}))
    assert shop.run() == "asked 1, told 0; 1 held back by the tracking plan"
    assert shop.run(MINUTE) == ""  # it is tried again, and held already
    [held] = shop.records.quarantine.find(QuarantineFilter(), 9)
    assert (held.source, held.event, [one.field for one in held.reasons]) == (
        "lookup:it",
        "identify",
        ["traits.weather"],
    )
    [seen] = shop.records.sources.seen(shop.hands.at)
    assert (seen.source, seen.accepted, seen.refused, seen.held) == ("lookup:it", 0, 0, 1)
    [violation] = shop.records.sources.violations(0)
    assert (violation.source, violation.field, violation.n) == ("lookup:it", "traits.weather", 1)
    assert "weather" not in shop.person("ada").traits
    Quarantine(shop.records, shop.sealer, shop.hands, shop.log).replay(
        [held.id], IngestRules(sealer=shop.sealer), who="me"
    )
    shop.engine.catch_up(shop.hands.at)
    assert shop.person("ada").traits["weather"].value["condition"] == "rain"


def test_lookups_are_jobs_of_the_worker():
    assert lookup_jobs in JOBS_OF


def test_old_deliveries_of_webhooks_are_forgotten(world):
    shop = world(PERSON)
    assert list(webhook_jobs(shop.project, SimpleNamespace())) == []
    [job] = webhook_jobs(load_project({"webhooks/shop.yaml": "preset: shopify\n"}), SimpleNamespace())
    for days in (36, 34):
        at = Instant(NOW - days * DAY)
        shop.records.webhooks.delivered("shop", [str(days)], WebhookTally(received=1, last_at=at))
    assert job.run(SimpleNamespace(there=shop.there)) == "1 deliveries forgotten"
    assert shop.records.webhooks.seen("shop", ["34"])
    assert job.run(SimpleNamespace(there=shop.there)) == ""


@pytest.mark.parametrize("preset", preset_names("lookups"))
def test_presets_are_whole_but_for_whom(preset):
    files = {**FILES, "lookups/it.yaml": f"preset: {preset}\nsegment: everyone\n"}
    assert load_project(files).lookups["it"].title


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (PERSON.replace("everyone", "evryone"), "did you mean 'everyone'?"),
        (PERSON.replace("{{email}}", "{{mail}}"), "{mail} is not known here: email, secret are"),
        (PERSON.replace("url: {url}", "url: ftp://x"), "url begins with"),
        ("preset: clearbit\nsegment: everyone\nurl: https://{email}.x.example/\n", "the host of url is fixed"),
        (PERSON + "values: {a: numbr($.x)}\n", "did you mean 'number'?"),
        (PERSON + "every: often\n", "every: "),
        (PERSON + "place: {city: city}\n", "the others have none"),
        (NEWS.replace("attribute town", "attribute twn"), "did you mean 'town'?"),
        (PERSON.replace("clearbit", "clearbitt"), "there is no preset 'clearbitt'"),
    ],
)
def test_faults_of_a_lookup(text, fault):
    lookup = text if "x.example" in text else text.replace("{{", "\0").replace("{url}", "https://a.example").replace("\0", "{").replace("}}", "}")  # fmt: skip  # noqa: E501
    with pytest.raises(InvalidInput) as caught:
        load_project({**FILES, "lookups/it.yaml": lookup})
    assert fault in str(caught.value)
