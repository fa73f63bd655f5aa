"""Batches read column by column say what event by event says."""

from __future__ import annotations

from typing import Any

import numpy as np
from fold_world import START, event, shop
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import events, filters

from mailwright.rules import syntax as s
from mailwright.rules.fold.filters import in_bulk
from mailwright.rules.fold.reading import _read, micro_units
from mailwright.rules.parse import parse
from mailwright.rules.values import elements, holds, to_micro_units

NEAR = [0.1, 0.30000000000000004, 7.333333, 5.0000005, 999999999.999999, 1e9, 1e15, 2.5e-7, 5e-7, 1.5e-6, -0.0, 1e300]
numbers = st.one_of(
    st.floats(), st.integers(), st.sampled_from(NEAR), st.decimals(-(10**6), 10**6, places=6).map(float)
)
anything = st.one_of(numbers, st.none(), st.booleans(), st.text(max_size=3), st.lists(st.integers(), max_size=2))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(numbers, max_size=8), st.lists(anything, max_size=8)))
def test_micro_units_of_many_are_those_of_each(values: list[Any]) -> None:
    units, known = micro_units(values)
    mask = np.ones(len(values), dtype=bool) if known is None else known
    found = [int(unit) if yes else None for unit, yes in zip(units, mask, strict=True)]
    assert found == [to_micro_units(value) if type(value) in (int, float) else None for value in values]


@settings(max_examples=100, deadline=None)
@given(filters(depth=2), st.lists(events(), max_size=12))
def test_a_filter_of_many_events_is_that_of_each(where: Any, happened: list[Any]) -> None:
    test = in_bulk(where, shop().facts)
    for _ in range(2):  # the second time from memory
        assert test(happened).tolist() == [holds(where, each, shop().facts) for each in happened]


VALUES = [5, 5.0, 4.999999999999999, 5.000000000000001, 2**53, 2**53 + 1, 1e400, 10**400, -1, True, "5", "x", None, [5]]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
    st.sampled_from(["5", "0.1", "4.9999999999999991", "9007199254740993", "-1"]),
    st.one_of(st.lists(st.sampled_from(VALUES)), st.lists(st.sampled_from(VALUES[:9])), st.lists(st.floats())),
)
def test_numbers_beside_a_limit_are_exact(op: Any, limit: str, values: list[Any]) -> None:
    where = s.Compare(op=op, left=s.Property(path=("p",)), right=s.Constant(kind="number", value=limit))
    happened = [event(place, stamp=START, properties={"p": value}) for place, value in enumerate(values)]
    test = in_bulk(where, shop().facts)
    assert test(happened).tolist() == [holds(where, each, shop().facts) for each in happened]


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.lists(anything), st.lists(st.one_of(numbers, st.text())), st.lists(st.one_of(st.text(), st.none())))
)
def test_the_values_of_a_column_are_those_of_each_event(values: list[Any]) -> None:
    happened = [event(place, stamp=START, properties={"p": value}) for place, value in enumerate(values)]
    found = _read(happened, ("p",), shop().facts)
    of = np.arange(len(values)) if found.of is None else found.of
    told = list(zip(of.tolist(), found.values, strict=True))
    assert told == [(n, value) for n, each in enumerate(happened) for value in elements(each, ("p",), shop().facts)]


def test_long_texts_are_not_remembered() -> None:
    where: Any = parse("did 'A' where p contains 'x'").where  # type: ignore[union-attr]
    test = in_bulk(where, shop().facts)
    long = "y" * 10_000_000
    happened = [event(1, stamp=START, properties={"p": long}), event(2, stamp=START, properties={"p": "x"})]
    assert test(happened).tolist() == [False, True]
    answers = next(cell.cell_contents for cell in test.__closure__ if isinstance(cell.cell_contents, dict))
    assert set(answers) == {None, "x"}
