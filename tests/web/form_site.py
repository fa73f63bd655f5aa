"""Forms as tests visit them: a client in front of a fresh shop, and mails whose links prove who reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi.testclient import TestClient
from seeded_shop import NOW, Shop

from mailwright.core.commits import TickCommit
from mailwright.core.events import NOBODY, Event, Offset, Person
from mailwright.core.instants import DAY, SECOND, Instant
from mailwright.core.messages import Message, SendRequest
from mailwright.core.ports import Handing
from mailwright.rendering.filters import OWN_PAGES

ANNA = "anna@example.com"
BROWSER = "browser-0000-1111"
PERSON = Person(5)


@dataclass
class Site:
    """A client in front of the forms of a fresh shop; nobody needs to wait for the least time of filling in."""

    shop: Shop
    client: TestClient

    def shown(self, name: str = "club", **query: str) -> dict[str, Any]:
        return self.client.get(f"/v1/forms/{name}", params=query).json()

    def send(self, name: str = "club", *, wait_s: float = 5, **body: Any) -> Any:
        issued = body.pop("issued", None) or self.shown(name)["issued"]
        self.shop.wall.at = Instant(self.shop.wall.at + int(wait_s * SECOND))
        return self.client.post(f"/v1/forms/{name}", json={"issued": issued, **body})

    def opt_in(self, email: str = ANNA, **more: Any) -> Any:
        return self.send(answers={"email": email}, purposes=["marketing"], **more)

    def told(self, source: str = "form:club") -> list[Event]:
        return [event for event in self.shop.events() if event.source == source]

    def confirmations(self) -> list[Message]:
        return self.shop.records.messages.page(before=None, limit=100, person=NOBODY)

    def confirm_url(self, place: int = 0) -> str:
        found = self.shop.records.opt_ins.by_ids([self.confirmations()[place].occurrence])
        (opt_in,) = found.values()
        return self.shop.links.confirm(opt_in.id, opt_in.expires_at)

    def granted(self, email: str = ANNA) -> bool:
        digest = self.shop.sealer.hash_address(email)
        return bool(self.shop.records.consents.granted([digest], "marketing"))

    def own_link(self, path: str, message: str) -> str:
        url = self.shop.links.own_page(OWN_PAGES + path, message, NOW)
        assert url
        return url


def reader(site: Site, person: Person = PERSON) -> tuple[str, Person]:
    """A mail that somebody got, and who."""
    records, facts = site.shop.records, site.shop.engine.people[person]
    request = SendRequest(
        send_key="mail-with-links",
        origin="campaign:weekly_offers",
        step="mail",
        occurrence="x",
        person=person,
        purpose="marketing",
        queued_at=Instant(1),
        send_by_at=Instant(NOW + DAY),
    )
    commit = TickCommit(offset=Offset(records.engine.applied() + 4096), at=NOW, requests=[request])
    records.engine.commit_tick(records.engine.take_over(), commit)
    claimed = records.messages.claim(NOW, 1000, "w", lease_now=NOW, lease_until=Instant(NOW + DAY))
    mail = next(one for one in claimed if one.send_key == request.send_key)
    decision = {"first_identifier": facts.first_identifier, "delivery": {"to": facts.traits["email"].value}}
    handing = Handing(
        send_key=mail.send_key, fence=mail.fence, body=b"x", subject="x", decision=decision, template_version="x"
    )
    assert records.messages.handing([handing])
    return mail.id, person
