"""Accounts: traits, members and figures are what the group calls say, in any order, through merges and back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import Corrupt
from mailwright.core.events import Event, Identifier, Offset, Person
from mailwright.core.instants import Instant
from mailwright.profiles.accounts import AccountBook, rolled_up

A, B, C = Person(0), Person(1), Person(5)


def group(name, stamp, traits=None, *, kind="group", source="crm"):
    at = Instant(stamp)
    return Event(
        message_id="m",
        source=source,
        type=kind,
        stamp_at=at,
        received_at=at,
        known_at=at,
        identifiers=[Identifier("user_id", "1")],
        traits=traits or {},
        context={"groupId": name} if name else {},
    )


def told_of(book):
    """All that the book says, by account id."""
    return {
        book.id(number): (
            book.traits(number),
            book.history(number),
            book.members(number),
            book.seen(number),
        )
        for number in range(len(book))
    }


def test_traits_members_and_times_of_an_account():
    book = AccountBook()
    book.apply_all(
        [
            (A, group("acme", 5, {"plan": "pro", "seats": 3}), Offset(1)),
            (B, group("acme", 9, {"plan": "free"}, source="web"), Offset(2)),
            (A, group("acme", 7, {"seats": None}), Offset(3)),
            (A, group("", 8), Offset(4)),
            (A, group("acme", 99, kind="track"), Offset(5)),
        ]
    )
    number = book.number("acme")
    traits = book.traits(number)
    assert {name: (one.value, one.at, one.source) for name, one in traits.items()} == {"plan": ("free", 9, "web")}
    assert [one.value for one in book.history(number)["plan"]] == ["free", "pro"]
    assert book.members(number) == [(A, 5, 7), (B, 9, 9)]
    assert book.seen(number) == (5, 9)
    assert (book.of(A), book.of(C), len(book), book.number("other")) == (["acme"], [], 1, None)


names = st.sampled_from(["acme", "bolt"])
traits = st.dictionaries(st.sampled_from("ab"), st.none() | st.integers(0, 3), max_size=2)
calls = st.lists(st.tuples(st.sampled_from([A, B, C]), names, st.integers(0, 9), traits), max_size=12)


@settings(max_examples=120, deadline=None)
@given(calls=calls, order=st.randoms(use_true_random=False), reload=st.booleans())
def test_any_order_and_a_merge_are_as_if_all_had_been_one_person(calls, order, reload):
    numbered = [(person, group(name, stamp, told), Offset(n)) for n, (person, name, stamp, told) in enumerate(calls)]
    together = AccountBook()
    together.apply_all([(C if person == A else person, event, offset) for person, event, offset in numbered])
    order.shuffle(numbered)
    apart = AccountBook()
    apart.apply_all(numbered)
    if reload:
        apart = AccountBook.load(apart.dump())
    apart.merge(C, A)
    assert told_of(apart) == told_of(together)
    assert apart.of(A) == []


@settings(max_examples=80, deadline=None)
@given(calls=calls)
def test_a_merge_taken_back_by_the_events_is_no_merge(calls):
    numbered = [(person, group(name, stamp, told), Offset(n)) for n, (person, name, stamp, told) in enumerate(calls)]
    book = AccountBook()
    book.apply_all(numbered)
    before = told_of(book)
    frozen = book.freeze()
    book.merge(C, A)
    book.forget([A, C])
    book.apply_all([each for each in numbered if each[0] in (A, C)])
    assert told_of(book) == before
    assert told_of(AccountBook.load(frozen())) == before


@pytest.mark.parametrize(
    ("function", "values", "wanted"),
    [
        ("sum", [1, 2, None], 3),
        ("sum", [0.1] * 10, 1.0),
        ("sum", [1e100, 1.0, -1e100], 1.0),
        ("sum", [None, "x", True], None),
        ("average", [1, 2], 1.5),
        ("min", [3, None, 2.5], 2.5),
        ("max", ["2026-01-01", "2026-02-01", None], "2026-02-01"),
        ("max", [], None),
    ],
)
def test_figures(function, values, wanted):
    assert rolled_up(function, values) == wanted
    assert rolled_up(function, values[::-1]) == wanted


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x96\x02\x90\xc4\x00\xc4\x00\x90\x90\x80"])
def test_torn_bytes_are_refused(data):
    with pytest.raises(Corrupt):
        AccountBook.load(data)
