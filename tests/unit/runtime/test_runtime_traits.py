"""Traits, look-ups and accounts in the engine: through definitions, merges, splits and checkpoints."""

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path[:0] = [str(Path(__file__).parent)]

from engine_world import FILES, at, event, records  # noqa: E402
from split_world import Told, gone_back, told  # noqa: E402

from mailwright.core.errors import NotFound  # noqa: E402
from mailwright.core.events import Defined, Events, Identifier, PeopleMerged, PersonSplit, Tick  # noqa: E402
from mailwright.runtime.engine import account_reads, reads  # noqa: E402

PROFILE = """
traits:
  crm_no: {index: true}
  tags: {type: list, merge: union, index: true}
  first_shop: {merge: oldest}
accounts:
  rollup:
    people: {people: count}
    orders: {sum: orders}
    most: {max: orders}
    usual: {average: orders}
"""
WITH_PROFILE = FILES | {"profile.yaml": PROFILE}


def group(number, user, name, days, **traits):
    call = event(number, user, "", days=days, traits=traits, context={"groupId": name})
    import msgspec

    return msgspec.structs.replace(call, type="group")


def identify(number, user, days, also=(), **traits):
    return event(number, user, "", days=days, traits=traits, also=list(also))


STORY = [
    (0, Events([identify(1, "ada", 0, crm_no="4711", tags=["a"], first_shop="x"), event(2, "ada", days=0)])),
    (0.1, Defined(1, WITH_PROFILE)),
    (1, Events([identify(3, "bob", 1, crm_no="4712", tags=["b"]), event(4, "bob", days=1), event(5, "bob", days=1)])),
    (1, Events([group(6, "ada", "acme", 1, plan="pro"), group(7, "bob", "acme", 0.5, plan="free", seats=3)])),
    (1, Events([group(8, "bob", "bolt", 1)])),
    (2, Events([identify(9, "ada", 2, crm_no="4713", tags=["c"], first_shop="y")])),
    (2, Tick()),
]


def view(state):
    people = state.living()
    facts = reads.facts(state, people, past=True)
    return {
        "facts": {n: (one.traits, one.history, one.sources, one.accounts, one.attributes) for n, one in facts.items()},
        "accounts": {one.id: account_reads.account(state, one.id) for one in account_reads.accounts(state, None, 99)},
        "index": {
            (trait, value): reads.having(state, trait, value)
            for trait, value in [
                ("crm_no", "4711"),
                ("crm_no", "4712"),
                ("crm_no", "4713"),
                ("tags", "a"),
                ("tags", "c"),
            ]
        },
    }


def whole(bodies):
    """The story with whatever must be installed; state and its past."""
    from engine_world import installed

    log = records(bodies)
    history = Told()
    state = told(log, history=history)
    if state.underway:
        place = next(n for n, (_, body) in enumerate(bodies) if isinstance(body, Defined)) + 1
        bodies = [*bodies[:place], (0.2, installed(records(bodies[:place]))), *bodies[place:]]
        history = Told()
        state = told(records(bodies), history=history)
    return state, history, bodies


def test_facts_accounts_and_look_ups_as_told_by_hand():
    state, history, _ = whole(STORY)
    ada = reads.facts(state, [0], past=True)[0]
    assert {name: one.value for name, one in ada.traits.items()} == {
        "crm_no": "4713",
        "tags": ["a", "c"],
        "first_shop": "x",
    }
    assert [(one.value, one.at, one.source) for one in ada.history["crm_no"]] == [
        ("4713", at(2), "shop"),
        ("4711", at(0), "shop"),
    ]
    assert (ada.sources, ada.accounts) == ({"shop": at(2)}, ["acme"])
    assert reads.facts(state, [0])[0].history == {}
    assert reads.having(state, "crm_no", "4711") == []
    assert reads.having(state, "crm_no", "4713") == [0]
    assert reads.having(state, "tags", "a") == [0]
    with pytest.raises(NotFound, match="crm"):
        reads.having(state, "crm", "4711")
    (acme,) = account_reads.account(state, "acme")
    assert {name: one.value for name, one in acme.traits.items()} == {"plan": "pro", "seats": 3}
    assert [one.person for one in acme.members] == [0, 1]
    assert acme.figures == {"people": 2, "orders": 3, "most": 2, "usual": 1.5}
    assert (acme.first_seen_at, acme.last_seen_at) == (at(0.5), at(1))
    assert [one.id for one in account_reads.accounts(state, "acme", 9)] == ["bolt"]
    assert account_reads.account(state, "nobody") == []
    with pytest.raises(NotFound):
        account_reads.accounts(state, "nobody", 9)
    assert view(gone_back(state, history)) == view(state)


@settings(max_examples=15, deadline=None)
@given(between=st.lists(st.sampled_from(["ada", "bob"]), max_size=4), through=st.booleans())
def test_a_merge_and_its_split_leave_traits_look_ups_and_accounts_as_if_it_had_not_been(between, through):
    later = [
        (3 + n, Events([identify(20 + n, who, 3 + n, crm_no=f"47{n}", tags=[who]), group(40 + n, who, "cube", n, n=n)]))
        for n, who in enumerate(between)
    ]
    apart, _, bodies = whole([*STORY, *later, (9, Tick())])
    cut = len(bodies) - len(later) - 1
    merged = [
        *bodies[:cut],
        (2.5, PeopleMerged(one=0, other=1, reason="the same", by="cli")),
        *bodies[cut:-1],
        (8, PersonSplit(person=0, merge=1, reason="not the same", by="cli")),
        (9, Tick()),
    ]
    history = Told()
    log = records(merged)
    state = told(log[: cut + 1], history=history)
    facts = reads.facts(state, [1])[1]
    assert (facts.person, facts.accounts) == (0, ["acme", "bolt"])
    assert reads.having(state, "crm_no", "4712") == []  # of the two the newer number counts
    if through:
        state = gone_back(state, history)
    told(log, state, history=history)
    assert not [row for row in history.folded.merges if "refused" in str(row)]
    assert view(state) == view(apart)


def test_an_index_that_is_declared_later_holds_what_was_told_before():
    state, _, _ = whole([STORY[0], (1, Defined(1, FILES)), (2, Defined(2, WITH_PROFILE)), (3, Tick())])
    assert reads.having(state, "crm_no", "4711") == [0]


def test_a_late_write_changes_neither_value_nor_look_up():
    late = (4, Events([identify(90, "ada", 1.5, also=[Identifier("anonymous_id", "a")], crm_no="old")]))
    state, _, _ = whole([*STORY, late])
    assert reads.having(state, "crm_no", "old") == []
    history = reads.facts(state, [0], past=True)[0].history["crm_no"]
    assert [one.value for one in history] == ["4713", "old", "4711"]
