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
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

from mailwright.core.instants import DAY, HOUR, Instant, from_datetime
from mailwright.runtime.demo.shop import Basket

WINDOW = 7 * DAY
_HOUSEHOLD = re.compile(r"household-(\d+)@")
_ITEM = re.compile(r"item-(\w+)")

Reaction = tuple[Instant, str]
"""When, and the path that is requested."""


class _Links(HTMLParser):
    """The pixel, and the links of offered products: anchors inside an element whose class names the item."""

    def __init__(self) -> None:
        super().__init__()
        self.pixel = ""
        self.items: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note pixels and product links."""
        values = {name: value or "" for name, value in attrs}
        if tag == "img" and "/o/" in values.get("src", ""):
            self.pixel = values["src"]
        item = _ITEM.search(values.get("title", "") or values.get("name", "") or values.get("rel", ""))
        if tag == "a" and item and "href" in values:
            self.items.setdefault(item[1], values["href"])


class Reader:
    """Plans the reactions to every mail of a folder and hands them out hour by hour."""

    def __init__(self, folder: Path, baskets: Sequence[Basket]) -> None:
        self._folder = folder
        self._read: set[str] = set()
        self._planned: list[Reaction] = []
        self._visits: dict[int, list[Basket]] = defaultdict(list)
        for basket in baskets:
            self._visits[basket.household].append(basket)

    def look(self) -> None:
        """Read the mails that came since the last look and plan the reactions to them."""
        for path in sorted(self._folder.glob("*.eml")):
            if path.name not in self._read:
                self._read.add(path.name)
                for reaction in self._reactions(message_from_bytes(path.read_bytes(), policy=default)):
                    heapq.heappush(self._planned, reaction)

    def due(self, at: Instant) -> Iterator[str]:
        """The paths to request up to and including `at`, in order."""
        while self._planned and self._planned[0][0] <= at:
            yield heapq.heappop(self._planned)[1]

    def _reactions(self, mail: EmailMessage) -> Iterator[Reaction]:
        household = _HOUSEHOLD.search(mail["To"])
        html = mail.get_body(("html",))
        if household is None or html is None:
            return
        sent_at = from_datetime(parsedate_to_datetime(mail["Date"]))
        visits = [b for b in self._visits[int(household[1])] if sent_at < b.stamp_at <= sent_at + WINDOW]
        if not visits:
            return
        links = _Links()
        links.feed(html.get_content())
        first = min(self._before(basket, sent_at) for basket in visits)
        yield first, _path(links.pixel)
        for item, url in links.items.items():
            bought = [basket for basket in visits if item in basket.products]
            if bought:
                yield self._before(bought[0], sent_at), _path(url)

    @staticmethod
    def _before(basket: Basket, sent_at: Instant) -> Instant:
        return Instant(max(sent_at + HOUR, basket.stamp_at - HOUR))


def _path(url: str) -> str:
    """The address without scheme and host: a demo that was resumed may listen on another port."""
    return urlsplit(url).path
