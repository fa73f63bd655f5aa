"""The replayed reader: reactions to mails that lie in the mailbox, taken from what households really did next.

A household that bought an offered product in the seven days after a mail "clicks" it, one hour before the till or as
soon as the mail is there. A household that came to the shop at all in those days "opens" it. So reactions are
replayed, not caused: nobody bought because of a mail that this demo sent, and no rate in its report says so.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from mailwright.core.instants import DAY, HOUR, Instant, from_datetime
from mailwright.delivery.receiver import LEDGER, Delivery
from mailwright.runtime.demo.shop import Visit

WINDOW = 7 * DAY
_HOUSEHOLD = re.compile(r"household-(\d+)@")
_PIXEL = re.compile(r'src="([^"]*/o/[^"]*)"')
_OFFER = re.compile(r'<a\b(?=[^>]*\brel="item-(\w+)")[^>]*\bhref="([^"]*)"')
"""Offered products: the demo's templates name the item in the link's rel."""

Reaction = tuple[Instant, str]
"""When, and the path that is requested."""


class Reader:
    """Plans the reactions to every mail that the receiving server took, and hands them out hour by hour."""

    def __init__(self, folder: Path, visits: Sequence[Visit]) -> None:
        self._folder = folder
        self._ledger_bytes = 0
        self._planned: list[Reaction] = []
        self._visits: dict[int, list[Visit]] = defaultdict(list)
        for visit in visits:
            self._visits[visit.household].append(visit)

    def look(self) -> None:
        """Read the mails that came since the last look and plan the reactions to them."""
        for delivery in self._new_deliveries():
            for reaction in self._reactions(message_from_bytes((self._folder / delivery.file).read_bytes())):
                heapq.heappush(self._planned, reaction)

    def due(self, at: Instant) -> Iterator[str]:
        """The paths to request up to and including `at`, in order."""
        while self._planned and self._planned[0][0] <= at:
            yield heapq.heappop(self._planned)[1]

    def skip(self, at: Instant) -> None:
        """Forget the reactions up to and including `at`: an earlier run has shown them."""
        for _ in self.due(at):
            pass

    def _new_deliveries(self) -> list[Delivery]:
        path = self._folder / LEDGER
        if not path.exists():
            return []
        with path.open("rb") as ledger:
            ledger.seek(self._ledger_bytes)
            data = ledger.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._ledger_bytes += len(whole)
        return [msgspec.json.decode(line, type=Delivery) for line in whole.splitlines()]

    def _reactions(self, mail: Message) -> Iterator[Reaction]:
        household = _HOUSEHOLD.search(mail["To"])
        if household is None:
            return
        sent_at = from_datetime(parsedate_to_datetime(mail["Date"]))
        visits = [v for v in self._visits[int(household[1])] if sent_at < v.stamp_at <= sent_at + WINDOW]
        if not visits:
            return
        html = _html(mail)
        pixel = _PIXEL.search(html)
        if pixel:
            yield _before(visits[0], sent_at), _path(pixel[1])
        for item, url in dict(_OFFER.findall(html)).items():
            bought = next((visit for visit in visits if item in visit.products), None)
            if bought is not None:
                yield _before(bought, sent_at), _path(url)


def _html(mail: Message) -> str:
    for part in mail.walk():
        if part.get_content_type() == "text/html":
            payload = part.get_payload(decode=True)
            return payload.decode() if isinstance(payload, bytes) else ""
    return ""


def _before(visit: Visit, sent_at: Instant) -> Instant:
    return Instant(max(sent_at + HOUR, visit.stamp_at - HOUR))


def _path(url: str) -> str:
    """The address without scheme and host: a demo that was resumed may listen on another port."""
    return urlsplit(url).path
