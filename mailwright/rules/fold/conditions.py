"""Boolean algebra over cells: masks, and until when they surely hold."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from mailwright.rules import syntax as s
from mailwright.rules.fold.cells import FOREVER, Cells, Coded, Operator, Predicate, Truth, forever
from mailwright.rules.fold.frame import Frame, Reader
from mailwright.rules.fold.rows import Ints
from mailwright.rules.interpret import bucket
from mailwright.rules.values import between, compare, in_options


def every(terms: Sequence[Reader]) -> Reader:
    """All terms. False stays as long as one false term surely does; true until the first may turn."""

    def read(frame: Frame) -> Cells:
        truths = [term(frame).truth() for term in terms]
        mask = np.logical_and.reduce([truth.mask for truth in truths])
        holds: Ints = np.minimum.reduce([truth.until for truth in truths])
        fails: Ints = np.maximum.reduce([np.where(truth.mask, -FOREVER, truth.until) for truth in truths])
        return Truth(mask, np.where(mask, holds, fails))

    return read


def negated(term: Reader) -> Reader:
    """The opposite."""

    def read(frame: Frame) -> Cells:
        truth = term(frame).truth()
        return Truth(~truth.mask, truth.until)

    return read


def compared(op: Operator, left: Reader, constant: Any) -> Reader:
    """A value beside a constant: over distinct values or whole columns wherever the cells allow."""
    predicate = Predicate(lambda value: compare(op, value, constant))

    def read(frame: Frame) -> Cells:
        cells = left(frame)
        mask = predicate.of(cells) if isinstance(cells, Coded) else cells.compared(op, constant, frame.zone_each)
        return Truth(mask, cells.flips(constant))

    return read


def compared_pairs(op: Operator, left: Reader, right: Reader) -> Reader:
    """Two values of the same person."""

    def read(frame: Frame) -> Cells:
        a, b = left(frame), right(frame)
        triples = zip(a.values(), b.values(), frame.zone_each(), strict=True)
        mask = np.array([compare(op, x, y, zone) for x, y, zone in triples], dtype=bool)
        return Truth(mask, np.minimum(a.until, b.until))

    return read


def within(value: Reader, low: Reader, high: Reader) -> Reader:
    """``low <= value <= high`` where a bound is no constant."""

    def read(frame: Frame) -> Cells:
        cells = [reader(frame) for reader in (value, low, high)]
        quads = zip(*(each.values() for each in cells), frame.zone_each(), strict=True)
        mask = np.array([between(x, a, b, zone) for x, a, b, zone in quads], dtype=bool)
        return Truth(mask, np.minimum.reduce([each.until for each in cells]))

    return read


def one_of(value: Reader, options: Sequence[Any]) -> Reader:
    """The value, or an element of a list value, is one of some constants."""
    predicate = Predicate(lambda found: in_options(found, options))

    def read(frame: Frame) -> Cells:
        cells = value(frame)
        until = np.minimum.reduce([forever(len(frame)), *(cells.flips(option) for option in options)])
        if isinstance(cells, Coded):
            return Truth(predicate.of(cells), until)
        pairs = zip(cells.values(), frame.zone_each(), strict=True)
        return Truth(np.array([in_options(found, options, zone) for found, zone in pairs], dtype=bool), until)

    return read


def known(value: Reader) -> Reader:
    """The value is not missing."""

    def read(frame: Frame) -> Cells:
        cells = value(frame)
        return Truth(cells.known(), cells.appears())

    return read


def everyone(frame: Frame) -> Cells:
    """True."""
    return Truth(np.ones(len(frame), dtype=bool), forever(len(frame)))


def in_segment(node: s.InSegment) -> Reader:
    """Membership as decided on this tick or before; segments are evaluated in order of dependency."""

    def read(frame: Frame) -> Cells:
        world = frame.world
        cells = world.members[node.name]
        inside = cells["inside"][frame.persons]
        stays = world.segments[node.name](frame).truth().until if frame.tells_due else forever(len(frame))
        if node.for_micros is None:
            return Truth(inside, stays)
        due: Ints = cells["since"][frame.persons] + node.for_micros
        reached = np.where(inside & (due > frame.t), due, FOREVER)
        return Truth(inside & (due <= frame.t), np.minimum(stays, reached))

    return read


def random_bucket(node: s.RandomBucket) -> Reader:
    """A share of the people, by a hash of their first identifier."""
    limit = Decimal(node.percent) * 2**32

    def read(frame: Frame) -> Cells:
        names = frame.world.first_identifiers
        mask = [person < len(names) and bucket(node.salt, names[person]) * 100 < limit for person in frame.persons]
        return Truth(np.array(mask, dtype=bool), forever(len(frame)))

    return read


def in_list(name: str) -> Reader:
    """The person is on a list: is listed, or the first identifier is on one that the rules brought along."""

    def read(frame: Frame) -> Cells:
        names, listed = frame.world.first_identifiers, frame.world.lists.get(name, frozenset())
        mask = frame.world.listed.inside(name, frame.persons)
        if listed:
            named = [person < len(names) and names[person] in listed for person in frame.persons]
            mask |= np.array(named, dtype=bool)
        return Truth(mask, forever(len(frame)))

    return read
