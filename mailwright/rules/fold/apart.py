"""Taking people apart: what was one person's becomes two people's, made anew from the events of each.

The two were folded a second time, from their first event on, into a small *part* of their own, whose people are
numbered 0, 1, ...; here that takes the place of what the fold has of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mailwright.rules.fold.feeds import Inbox, together
from mailwright.rules.fold.rows import Ints
from mailwright.rules.fold.stores import Stores


class Stay(NamedTuple):
    """Whether a person is in a segment, and since when that is so."""

    inside: bool
    since: int


Stays = Mapping[str, Mapping[int, Stay]]
"""Segment -> person -> membership; a segment or person that lacks is not inside and never was."""


def replace(stores: Stores, inbox: Inbox, numbers: Ints, part: Stores, parts_inbox: Inbox, persons: Ints) -> None:
    """Put what a part has of its people in the place of what the stores have of some numbers.

    Args:
        stores: Of the fold.
        inbox: Its events that wait.
        numbers: All that stand for the people concerned, ascending.
        part: The same stores over these people alone, up to the same instant; must not be used any more.
        parts_inbox: Its events that wait.
        persons: By the part's number, the fold's.
    """
    for store in stores.stores.values():
        store.forget(numbers)
    _forget_waiting(stores, inbox, numbers)
    for key, store in stores.stores.items():
        feed = stores.feed_of(key)
        store.adopt(part.stores[key], persons, stores.translation(feed, part))
    _adopt_waiting(stores, inbox, part, parts_inbox, persons)


def _forget_waiting(stores: Stores, inbox: Inbox, numbers: Ints) -> None:
    n_held, block = len(inbox.held.person), inbox.all()
    stays = ~np.isin(stores.heirs.of(block.person), numbers)
    place = np.cumsum(stays) - 1
    for feed in stores.feeds.values():
        rows = feed.all(n_held)
        kept = rows.chosen(stays[rows.at])
        feed.hold(kept._replace(at=place[kept.at]))
    inbox.hold(block.chosen(stays))


def _adopt_waiting(stores: Stores, inbox: Inbox, part: Stores, parts_inbox: Inbox, persons: Ints) -> None:
    theirs_held, theirs = len(parts_inbox.held.person), parts_inbox.all()
    for key, feed in stores.feeds.items():
        feed.append(part.feeds[key].all(theirs_held), stores.translation(key, part), len(inbox))
    inbox.hold(together([inbox.all(), theirs._replace(person=persons[part.heirs.of(theirs.person)])]))
