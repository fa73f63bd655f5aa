"""Asking services outside about people and places, as jobs of the worker: no mail ever waits for one."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import uuid4

import msgspec

from mailwright.core.durations import duration_micros
from mailwright.core.errors import MailwrightError, NotFound, Permanent, Transient
from mailwright.core.events import Events, Person
from mailwright.core.facts import Known, PersonFacts
from mailwright.core.fetching import FetchRequest
from mailwright.core.instants import MINUTE, SECOND, format_iso
from mailwright.core.outside import LookupAnswer
from mailwright.core.presence import LOOKUPS
from mailwright.core.schedules import Schedule
from mailwright.decisions.mail import Source as FactSource
from mailwright.decisions.mail import parse_source
from mailwright.decisions.variables import look_up
from mailwright.ingest.lookups import ATTRIBUTE, LookupDefinition
from mailwright.ingest.segment import Parsed, Source, parse_request
from mailwright.runtime.collected import Collected
from mailwright.runtime.installation import Installation
from mailwright.runtime.jobs.job import Job, JobContext
from mailwright.runtime.project.load import Project
from mailwright.runtime.quarantine import Came, Quarantine
from mailwright.runtime.settings import Settings, environment_secret
from mailwright.runtime.webhooks import forget_deliveries

_log = logging.getLogger(__name__)

_PAGE = 500
_TOLD_AT_ONCE = 20  # as many questions are asked again at most if the worker is killed
_FAILURES = 5  # in a row, after which a run asks no more: what answers with nonsense is spared, too
_TRIES, _TRIES_IN_VAIN = 10, 1_440  # of addresses that got no answer, while others got one and while nobody did
_PEOPLE_A_RUN = 20_000
_RECORDS_A_RUN = 2_000
_NOT_PERSONAL = ("email", "phone")
_STOPS = ("fetch.paused", "fetch.budget")


def lookup_jobs(project: Project, _settings: Settings) -> Iterable[Job]:
    """One job for each lookup."""
    for name, definition in project.lookups.items():
        every = min(duration_micros(definition.every), MINUTE)
        yield Job(
            name=f"lookup:{name}",
            title=definition.title or f"Ask about the {definition.by} of people",
            schedule=Schedule(every=f"{max(1, every // SECOND)} seconds"),
            run=partial(_run, name, definition),
        )


def webhook_jobs(project: Project, _settings: Settings) -> Iterable[Job]:
    """Old deliveries of webhooks are forgotten once a day."""
    if project.webhooks:
        daily = Schedule(every="1 day")
        yield Job(name="webhooks", title="Forget old deliveries of webhooks", schedule=daily, run=_forget)


def _forget(context: JobContext) -> str:
    n = forget_deliveries(context.there.records, context.there.wall.now())
    return f"{n:,} deliveries forgotten" if n else ""


def _run(name: str, definition: LookupDefinition, context: JobContext) -> str:
    return Lookup(name, definition, context).run()


@dataclass(slots=True)
class _Asked:
    """One thing to ask: its key in Records, and what fills the holes of the address."""

    key: str
    told: Mapping[str, str]


class Lookup:
    """One run of one lookup."""

    def __init__(self, name: str, definition: LookupDefinition, context: JobContext) -> None:
        """Take what it asks and whom."""
        self._name = name
        self._of = definition
        self._there: Installation = context.there
        self._project = context.project
        self._stopping = context.stopping
        self._now = context.now
        self._stopped = ""
        self._n_failed = self._n_in_row = 0
        self._failure = ""
        self._n_asked = self._n_answered = 0
        self._n_told = self._n_held = 0
        there, plan = self._there, self._project.tracking_plan
        self._collected = Collected(there.records.sources, there.clock, there.log, lambda: plan.violation_events)

    def run(self) -> str:
        """Ask what is due and tell what has changed; says how much in one line."""
        try:
            return self._run()
        finally:
            self._collected.flush_or_log()

    def _run(self) -> str:
        addresses, read = self._addresses() if self._of.by == "ip" else ({}, 0)
        for page in self._pages(addresses):
            self._see_to(page, addresses)
            if self._stopping():
                break
        if self._of.by == "ip":
            self._addresses_done(read)
        said = f"asked {self._n_asked:,}, told {self._n_told:,}" if self._n_asked or self._n_told else ""
        held = f"{self._n_held:,} held back by the tracking plan" if self._n_held else ""
        failed = f"{self._n_failed:,} got no answer: {self._failure}" if self._n_failed else ""
        return "; ".join(part for part in (said, held, failed, self._stopped) if part)

    def _see_to(self, page: Mapping[Person, PersonFacts], addresses: Mapping[Person, str]) -> None:
        """Ask and tell by and by: what is said of people is kept nowhere until it is told."""
        asked: dict[str, _Asked] = {}
        persons: dict[str, list[Person]] = {}
        for person, facts in page.items():
            if one := self._question(facts, addresses):
                asked[one.key] = one
                persons.setdefault(one.key, []).append(person)
        # In another order each time: some that always fail must not stand before the others for ever.
        questions = sorted(asked.values(), key=lambda one: hashlib.sha256(f"{self._now} {one.key}".encode()).digest())
        for start in range(0, len(questions), _TOLD_AT_ONCE):
            answers = self._answers(questions[start : start + _TOLD_AT_ONCE])
            self._tell([(page[person], answer) for key, answer in answers.items() for person in persons[key]])
            self._keep_told(answers)

    def _is_over(self) -> bool:
        """Whether this run asks no more."""
        return bool(self._stopped) or self._n_in_row >= _FAILURES or self._stopping()

    # --- whom ---

    def _pages(self, addresses: Mapping[Person, str]) -> Iterator[dict[Person, PersonFacts]]:
        """Members of the segment by and by, from where the last run ended; of an IP lookup those just seen."""
        engine, meta, key = self._there.engine, self._there.records.meta, f"lookup.{self._name}.after"
        if self._of.by == "ip":
            persons = [*addresses]
            for start in range(0, len(persons), _PAGE):
                found = engine.facts(persons[start : start + _PAGE])
                yield {person: facts for person, facts in found.items() if self._of.segment in facts.segments}
                if self._is_over():
                    return
            return
        told = meta.get(key)
        after = Person(int(told)) if told else None
        for _ in range(_PEOPLE_A_RUN // _PAGE):
            members = engine.members(self._of.segment, after, _PAGE)
            if members:
                yield engine.facts(members)
            after = members[-1] if len(members) == _PAGE else None
            meta.put(key, "" if after is None else str(after))
            if after is None or self._is_over():
                return

    def _addresses(self) -> tuple[dict[Person, str], int]:
        """The newest address of everybody whose events have come since, and up to which record that is.

        Sealed ones are opened here.
        """
        after = self._addresses_read()[0]
        seen: dict[tuple[str, str], str] = {}
        for record in self._there.log.read(after, _RECORDS_A_RUN):
            after = record.number
            for event in record.body.events if isinstance(record.body, Events) else ():
                address = self._opened(event.context.get("ip"))
                if address and event.identifiers:
                    seen[event.identifiers[0].kind, event.identifiers[0].value] = address
        found = {}
        for (kind, value), address in seen.items():
            person = self._there.engine.find(kind, value)
            if person is not None:
                found[person] = address
        return found, after

    def _addresses_read(self) -> tuple[int, int]:
        """Up to which record addresses have been seen to, and how often what follows was tried in vain."""
        told = self._there.records.meta.get(f"lookup.{self._name}.read")
        if not told:
            return max(0, self._there.log.last()[0] - _RECORDS_A_RUN), 0
        number, _, tries = told.partition(" ")
        return int(number), int(tries or 0)

    def _addresses_done(self, read: int) -> None:
        """Go on behind these records, unless some address is still to be asked about: then they are read again.

        One that fails again and again while the service answers about others is left behind.
        """
        after, tries = self._addresses_read()
        if self._stopped or self._stopping():
            read = after
        elif self._n_failed and tries + 1 < (_TRIES if self._n_answered else _TRIES_IN_VAIN):
            read, tries = after, tries + 1
        else:
            tries = 0
        self._there.records.meta.put(f"lookup.{self._name}.read", f"{read} {tries}")

    def _question(self, facts: PersonFacts, addresses: Mapping[Person, str]) -> _Asked | None:
        """What to ask about a person; None if that is not known."""
        sealer = self._there.sealer
        if self._of.by == "place":
            told = {name: self._fact(facts, where) for name, where in self._of.place.items()}
            if not all(told.values()):
                return None
            text = "\0".join(f"{name}={value.strip().casefold()}" for name, value in sorted(told.items()))
            return _Asked(key=hashlib.sha256(text.encode()).hexdigest()[:32], told=told)
        value = addresses.get(facts.person, "") if self._of.by == "ip" else self._fact(facts, "email")
        return _Asked(key=sealer.hash(self._of.by, value), told={self._of.by: value}) if value else None

    def _fact(self, facts: PersonFacts, path: str) -> str:
        """A trait or, so named, an attribute; empty if it is not known."""
        source = parse_source(path) if path.startswith(ATTRIBUTE) else FactSource("trait", path)
        known = look_up(source, facts)
        return self._opened(known.value if known else None)

    def _opened(self, value: Any) -> str:
        """A value as text; opened here and sent to the declared service alone."""
        if self._there.sealer.is_sealed(value):
            return self._there.sealer.unseal(value)
        return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""

    # --- what ---

    def _answers(self, questions: Sequence[_Asked]) -> dict[str, LookupAnswer]:
        """Answers that hold still, and new ones to what is due while the service answers."""
        lookups = self._there.records.lookups
        known = lookups.answers(self._name, [one.key for one in questions])
        oldest = self._now - duration_micros(self._of.every)
        for one in questions:
            if self._is_over():
                break
            if one.key in known and known[one.key].at > oldest:
                continue
            try:
                answer = self._asked(one)
            except MailwrightError as error:
                if error.code in _STOPS or isinstance(error, NotFound):
                    self._stopped = error.message
                else:
                    self._n_failed, self._n_in_row = self._n_failed + 1, self._n_in_row + 1
                    self._failure = error.message
                    _log.warning("the lookup %s got no answer: %s", self._name, error.message)
                continue
            if self._of.by == "place":
                lookups.keep(self._name, {one.key: answer})
            known[one.key] = answer
            self._n_answered, self._n_in_row = self._n_answered + 1, 0
        # An old one is not told again: it would look young.
        return {key: answer for key, answer in known.items() if answer.at > oldest}

    def _keep_told(self, answers: Mapping[str, LookupAnswer]) -> None:
        """Keep that people were asked about: what was said of them lies sealed in the log alone."""
        if self._of.by != "place":
            new = {key: one for key, one in answers.items() if one.at == self._now}
            told = {key: LookupAnswer(at=one.at, found=one.found) for key, one in new.items()}
            self._there.records.lookups.keep(self._name, told)

    def _asked(self, one: _Asked) -> LookupAnswer:
        """The service's answer.

        Raises:
            Transient: If it gave none that can be read.
        """
        secret = environment_secret(self._of.secret_env) if self._of.secret_env else ""
        if self._of.secret_env and not secret:
            message = f"the lookup {self._name} cannot ask: {self._of.secret_env} is not set"
            raise NotFound("lookup.secret", message, "set it where the worker runs")
        told = {**one.told, "secret": secret}
        answer = self._there.fetch.fetch(
            FetchRequest(
                service=f"lookup:{self._name}",
                url=self._of.filled_url(told),
                method=self._of.method,
                headers={"Accept": "application/json", **self._of.filled(self._of.headers, told)}
                | ({"Content-Type": "application/json"} if self._of.body else {}),
                body=msgspec.json.encode(self._of.filled(self._of.body, told)) if self._of.body else b"",
                timeout_s=duration_micros(self._of.timeout) / SECOND,
                per_minute=self._of.per_minute,
            )
        )
        self._n_asked += 1
        if answer.status in (404, 410, 422, 202, 204):
            return LookupAnswer(at=self._now, found=False)
        if not 200 <= answer.status < 300:
            kind = Transient if answer.status >= 500 or answer.status == 429 else Permanent
            raise kind("lookup.answer", f"it answered {answer.status}")
        try:
            values = self._of.used(msgspec.json.decode(answer.body))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise Transient("lookup.answer", "its answer is no JSON") from None
        return LookupAnswer(at=self._now, found=bool(values), values=values, digest=_digest(values))

    # --- telling ---

    def _tell(self, answers: Sequence[tuple[PersonFacts, LookupAnswer]]) -> None:
        """Identify calls for those for whom something has changed, through the door's own checks."""
        made = [(call, answer) for facts, answer in answers if answer.values and (call := self._call(facts, answer))]
        if not made:
            return
        there, source, now = self._there, Source(name=self._source, kind="server"), self._there.clock.now()
        parsed = parse_request(
            "batch",
            msgspec.json.encode({"batch": [call for call, _ in made]}),
            self._project.ingest_rules(there.sealer, there.resolve),
            source=source,
            received_at=now,
            new_id=lambda: f"mailwright-{uuid4()}",
            keeps_held=True,
        )
        if parsed.held:
            quarantine = Quarantine(there.records, there.sealer, there.clock, there.log)
            parsed = quarantine.kept(Came(source=source, received_at=now), parsed)
        for refusal in parsed.refused[:1]:
            # Its place alone: the reason may show the value.
            _log.warning("what the lookup %s told was refused: %s", self._name, refusal.field)
        if parsed.events:
            there.log.append([Events(list(parsed.events))], there.clock.now())
            self._n_told += len(parsed.events)
        # An answer that holds is told again by each run until it is taken: only the first time counts as a fault.
        counted = _of_items(parsed, {n for n, (_, answer) in enumerate(made) if answer.at == self._now})
        self._n_held += len(counted.held)
        self._collected.add(source.name, counted)

    @property
    def _source(self) -> str:
        return f"{LOOKUPS}{self._name}"

    def _call(self, facts: PersonFacts, answer: LookupAnswer) -> dict[str, Any] | None:
        told = {self._of.into: dict(answer.values)} if self._of.into else dict(answer.values)
        traits = {name: value for name, value in told.items() if self._is_news(facts.traits.get(name), value)}
        if not traits:
            return None
        # In the message's id: the same after a kill, but another when an earlier value comes back.
        replaced = " ".join(f"{name} {facts.traits[name].at}" for name in sorted(traits) if name in facts.traits)
        call: dict[str, Any] = {"type": "identify", "traits": traits}
        named = next((one for one in facts.identifiers if one.kind not in _NOT_PERSONAL), None)
        if named is None:
            traits["email"] = self._fact(facts, "email")
        elif named.kind == "user_id":
            call["userId"] = named.value
        elif named.kind == "anonymous_id":
            call["anonymousId"] = named.value
        else:
            call["context"] = {"externalIds": [{"type": named.kind, "id": named.value}]}
        since = format_iso(answer.at) if self._of.by == "place" else replaced
        key = f"{facts.first_identifier}\0{_digest(traits)}\0{since}"
        call["messageId"] = f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
        return call

    def _is_news(self, known: Known | None, value: Any) -> bool:
        """Whether a trait is missing, or ours to write over and other than it was or told too long ago."""
        if known is None or known.value is None or known.value == "":
            return True
        if known.source != self._source and not self._of.overwrite:
            return False
        old = self._opened(known.value) if self._there.sealer.is_sealed(known.value) else known.value
        stale = known.at is None or known.at <= self._there.clock.now() - duration_micros(self._of.told_again)
        return bool(old != value) or (self._of.by == "place" and stale)


def _of_items(parsed: Parsed, indexes: Collection[int]) -> Parsed:
    """With the faults of some items alone."""
    return replace(
        parsed,
        refused=[one for one in parsed.refused if one.index in indexes],
        held=[one for one in parsed.held if one.index in indexes],
        n_held_before=0,  # those that came again are not among the items: what is asked anew is told once
        violations=[one for one in parsed.violations if one.index in indexes],
    )


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(values, order="deterministic")).hexdigest()[:32]
