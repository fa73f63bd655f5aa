"""Rows of a declared import that are posted: as rows of a file, in whatever batches, sent again or at the same time."""

import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path[:0] = [str(Path(__file__).parents[2] / "scenarios"), str(Path(__file__).parent)]

from running_project import done, opened  # noqa: E402
from test_imports_origins import change  # noqa: E402
from test_imports_sql import Shop, users  # noqa: E402

from mailwright.core.errors import Conflict, InvalidInput, NotFound, Transient  # noqa: E402
from mailwright.core.events import Event, Events, Items  # noqa: E402
from mailwright.core.sources import QuarantineFilter  # noqa: E402
from mailwright.runtime.collected import Collected  # noqa: E402
from mailwright.runtime.imports.posted import Posting, Taken  # noqa: E402
from mailwright.runtime.imports.state import read_state  # noqa: E402
from mailwright.runtime.project.versions import current_project  # noqa: E402

ROWS = """\
title: Contacts of the CRM
as: identify
posted: rows
columns: {id: userId, mail: traits.email, city: traits.city}
key: id
"""
CHANGES = """\
title: Contacts as they change
as: identify
posted: changes
columns: {id: userId, mail: traits.email, city: traits.city}
key: id
deletes: {then: unset}
"""


NUMBERS = itertools.count()
"""Tell the people of one example from those of another."""


class Poster:
    """Posts to the import `crm`, and looks what the log has."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.declare = shop.declare

    def post(self, *rows: Any, name: str = "crm") -> Taken:
        raws = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in rows]
        with opened(self.shop.folder) as there:
            collected = Collected(there.records.sources, there.clock)
            taken = Posting(there, current_project(there)[1], name, collected).take(raws)
            collected.flush()
            there.pump_outbox()
        return taken

    def told(self) -> list[Any]:
        """Events and items of the log, each message id once."""
        with opened(self.shop.folder) as there:
            bodies = [record.body for record in there.log.read(0, 10_000)]
        events = {one.message_id: one for body in bodies if isinstance(body, Events) for one in body.events}
        items = [one for body in bodies if isinstance(body, Items) for one in body.items]
        return [*events.values(), *items]

    def events(self) -> list[Event]:
        return [one for one in self.told() if isinstance(one, Event)]

    def records(self) -> int:
        return self.shop.last()


@pytest.fixture
def poster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Poster:
    return Poster(Shop(tmp_path / "shop", "sqlite://", monkeypatch))


def contact(id: str, city: str = "Ulm", **more: Any) -> dict[str, Any]:
    return {"id": id, "mail": f"{id}@maple.example", "city": city, **more}


def counts(taken: Taken) -> tuple[int, int, int, int]:
    return taken.n_taken, taken.n_unchanged, taken.n_held, taken.n_refused


def changes(*told: str) -> list[bytes]:
    return [line.encode() for one in told for line in one.splitlines()]


# --- rows as they are ------------------------------------------------------------------------------------------------


def test_a_batch_that_is_sent_again_adds_nothing(poster: Poster) -> None:
    poster.declare(ROWS)
    assert counts(poster.post(contact("ada"), contact("bob"))) == (2, 0, 0, 0)
    first = poster.records()
    assert counts(poster.post(contact("ada"), contact("bob"))) == (0, 2, 0, 0)
    assert poster.records() == first
    assert counts(poster.post(contact("ada", "Bonn"), contact("cem"))) == (2, 0, 0, 0)
    assert counts(poster.post(contact("ada"))) == (1, 0, 0, 0)  # back to what it said first: told again
    cities = [event.traits["city"] for event in poster.events() if event.identifiers[0].value == "ada"]
    assert cities == ["Ulm", "Bonn", "Ulm"]
    assert {event.source for event in poster.events()} == {"import:crm"}


def test_of_several_rows_of_a_key_in_a_batch_the_last_counts(poster: Poster) -> None:
    poster.declare(ROWS)
    for taken in [(1, 1, 0, 0), (0, 2, 0, 0)]:
        assert counts(poster.post(contact("ada", "Ulm"), contact("ada", "Bonn"))) == taken
    assert [event.traits["city"] for event in poster.events()] == ["Bonn"]


def test_each_bad_row_is_answered_for_and_may_come_again(poster: Poster) -> None:
    poster.declare(ROWS)
    bad = {"id": "bob", "mail": "no address", "city": "Ulm"}
    rows = [contact("ada"), bad, b"{half", b"[1]", b"null", {"mail": "x@maple.example"}, b'{"id":NaN}', contact("cem")]
    taken = poster.post(*rows, b'{"id":"' + b"x" * 140_000 + b'"}')
    assert counts(taken) == (2, 0, 0, 7)
    assert sorted({one.index for one in taken.refused}) == [1, 2, 3, 4, 5, 6, 8]
    (told,) = [one for one in taken.refused if one.index == 1]
    assert told.field == "traits.email"
    assert users(poster.events()) == ["ada", "cem"]
    assert counts(poster.post(bad)) == (0, 0, 0, 1), "it is not known, since it was not taken"
    assert counts(poster.post(contact("bob"))) == (1, 0, 0, 0)
    with opened(poster.shop.folder) as there:
        (seen,) = there.records.sources.seen(there.clock.now())
        assert (seen.source, seen.accepted, seen.refused) == ("import:crm", 3, 8)


def test_what_the_plan_holds_back_is_mended_and_replayed(poster: Poster) -> None:
    (poster.shop.folder / "tracking-plan.yaml").write_text(
        "events: {Paid: {schema: {type: object, properties: {total: {type: number}}}, violation: quarantine}}\n"
    )
    poster.declare(
        "title: Till\nas: track\nevent: Paid\nposted: rows\nkey: no\n"
        "columns: {who: userId, no: properties.no, total: properties.total}\n"
    )
    rows = [{"who": "ada", "no": 1, "total": 2.5}, {"who": "bob", "no": 2, "total": "2"}]
    assert counts(poster.post(*rows)) == (1, 0, 1, 0)
    assert counts(poster.post(*rows)) == (0, 2, 0, 0)
    with opened(poster.shop.folder) as there:
        (held,) = there.records.quarantine.find(QuarantineFilter(), 10)
        assert (held.source, held.event, held.imported) == ("import:crm", "Paid", True)
    folder = str(poster.shop.folder)
    patch = '[{"op": "cast", "field": "properties.total", "to": "number"}]'
    done("quarantine", "mend", patch, "--event", "Paid", "--project", folder)
    assert "1 taken" in done("quarantine", "replay", "--source", "import:crm", "--project", folder)
    assert sorted(users(poster.events())) == ["ada", "bob"]
    assert counts(poster.post(*rows)) == (0, 2, 0, 0)


def test_a_soft_deleted_row_is_told_once_and_again_when_it_was_back(poster: Poster) -> None:
    poster.declare(ROWS + "deletes: {column: gone, then: event, event: Contact Gone}\n")
    for _ in range(2):
        poster.post(contact("ada"))
        assert counts(poster.post(contact("ada", gone="yes"))) == (1, 0, 0, 0)
        assert counts(poster.post(contact("ada", gone="yes"))) == (0, 1, 0, 0)
    assert [event.name for event in poster.events()] == ["", "Contact Gone", "", "Contact Gone"]
    assert counts(poster.post(contact("never", gone="yes"))) == (0, 1, 0, 0)


def test_rows_without_a_key_are_known_by_what_they_say(poster: Poster) -> None:
    poster.declare("title: Seen\nas: track\nevent: Seen\nposted: rows\ncolumns: {who: userId, page: properties.page}\n")
    for _ in range(2):
        assert counts(poster.post({"who": "ada", "page": "a"}, {"who": "ada", "page": "b"})) == (2, 0, 0, 0)
    assert [event.properties["page"] for event in poster.events()] == ["a", "b"]


def test_a_row_ends_by_what_was_taken_of_it_though_a_bad_change_of_it_came_before(poster: Poster) -> None:
    poster.declare(CHANGES.replace("then: unset", "then: suppress"))
    assert counts(poster.post(*changes(change("c", "ada", "Ulm", 1)))) == (1, 0, 0, 0)
    bad = {"op": "u", "after": {"id": "ada", "mail": "not an address"}, "source": {"lsn": 2}}
    for taken in [(1, 0, 0, 1), (0, 2, 0, 0)]:
        assert counts(poster.post(bad, *changes(change("d", "ada", "Ulm", 3)))) == taken
        assert list(poster.shop.suppressed("ada@shop.test")) == ["ada@shop.test"]


def test_items_consents_and_suppressions_are_rows_too(poster: Poster) -> None:
    poster.declare(
        "title: Products\nas: items\ncatalog: products\nposted: rows\nkey: sku\n"
        "columns: {sku: item_id, name: facts.title, price: facts.price}\n",
        "products",
    )
    poster.declare(
        "title: Consents\nas: consents\nposted: rows\nkey: mail\n"
        "columns: {mail: email, said: granted, when: at}\n"
        "constants: {purpose: newsletter, wording: Yes please, source: shop}\n",
        "consents",
    )
    poster.declare(
        "title: Blocked\nas: suppressions\nposted: rows\nkey: mail\ncolumns: {mail: email}\n"
        "constants: {reason: former bounce}\n",
        "blocked",
    )
    consent = {"mail": "ada@maple.example", "said": True, "when": "2026-11-01T00:00:00Z"}
    for taken in [(1, 0, 0, 0), (0, 1, 0, 0)]:
        assert counts(poster.post({"sku": "p1", "name": "Syrup", "price": 7.5}, name="products")) == taken
        assert counts(poster.post(consent, name="consents")) == taken
        assert counts(poster.post({"mail": "bob@maple.example"}, name="blocked")) == taken
    assert [(one.item_id, one.facts["price"]) for one in poster.told() if not isinstance(one, Event)] == [("p1", 7.5)]
    assert list(poster.shop.suppressed("bob@maple.example")) == ["bob@maple.example"]
    with opened(poster.shop.folder) as there:
        (row,) = there.records.consents.ledger(there.sealer.hash_address("ada@maple.example"))
        assert (row.purpose, row.granted) == ("newsletter", True)


# --- changes ---------------------------------------------------------------------------------------------------------


def test_changes_keep_their_order_in_whatever_order_they_come(poster: Poster) -> None:
    poster.declare(CHANGES)
    created, moved, gone = change("c", "ada", "Ulm", 11), change("u", "ada", "Bonn", 12), change("d", "ada", "", 13)
    assert counts(poster.post(*changes(moved))) == (1, 0, 0, 0)
    assert counts(poster.post(*changes(created))) == (0, 1, 0, 0), "older than what is known"
    taken = poster.post(*changes(gone, "null\n"))
    assert (counts(taken), taken.n_deleted) == ((1, 1, 0, 0), 1)
    assert counts(poster.post(*changes(created, moved, gone, "null\n"))) == (0, 4, 0, 0)
    assert [event.traits["city"] for event in poster.events()] == ["Bonn", None]
    assert counts(poster.post(*changes(change("r", "ada", "Kiel", 20)))) == (1, 0, 0, 0)  # a new snapshot has it again


def test_a_delete_before_its_create_keeps_the_row_away(poster: Poster) -> None:
    poster.declare(CHANGES)
    poster.post(*changes(change("d", "ada", "", 13)))
    assert counts(poster.post(*changes(change("c", "ada", "Ulm", 11)))) == (0, 1, 0, 0)
    assert [event.traits.get("city") for event in poster.events()] in ([], [None])
    assert counts(poster.post(*changes(change("c", "ada", "Kiel", 14)))) == (1, 0, 0, 0)


def test_a_change_that_has_no_place_among_the_others_is_refused(poster: Poster) -> None:
    poster.declare(CHANGES)
    taken = poster.post(
        {"op": "c", "after": contact("ada")}, {"op": "t"}, {"op": "c", "after": contact("bob"), "ts_ms": 1767225600000}
    )
    assert counts(taken) == (1, 0, 0, 2)
    assert "where it stands among the changes" in taken.refused[0].reason


def test_a_change_of_another_shape_spoils_no_other(poster: Poster) -> None:
    poster.declare(CHANGES)
    whole = {"op": "c", "source": {"lsn": 5}}
    taken = poster.post(
        {**whole, "op": ["c"], "after": contact("ada")},
        {**whole, "ts_ms": 10**18, "after": contact("bob")},
        {**whole, "after": {**contact("x"), "id": 10**30}},
        {"op": "d", "source": {"lsn": 6}, "before": {"id": 10**30}},
    )
    assert counts(taken) == (3, 0, 0, 1)
    assert taken.refused[0].index == 0
    assert [event.identifiers[0].value for event in poster.events()] == ["bob", str(10**30), str(10**30)]


def bad_change(id: str, position: int) -> str:
    return change("u", id, "Kiel", position).replace(f"{id}@shop.test", "no address")


@pytest.mark.parametrize(
    ("told", "taken", "cities"),
    [
        ((12, 11), (1, 0, 0, 1), ["Ulm 11"]),  # the newer one was refused, so the older one is the newest there is
        ((11, 12, 11), (1, 1, 0, 1), ["Ulm 11"]),
        ((12, 12), (0, 0, 0, 2), []),  # each is answered for
        ((13, 12, 11), (1, 2, 0, 0), ["Ulm 13"]),  # of what is passed over nobody asks whether it is good
    ],
)
def test_a_refused_change_moves_its_row_not_on(
    poster: Poster, told: Sequence[int], taken: tuple[int, int, int, int], cities: list[str]
) -> None:
    """Changes at place 12 are bad, all others good."""
    poster.declare(CHANGES)
    lines = [bad_change("ada", n) if n == 12 else change("u", "ada", f"Ulm {n}", n) for n in told]
    assert counts(poster.post(*changes(*lines))) == taken
    assert [event.traits["city"] for event in poster.events()] == cities
    assert counts(poster.post(*changes(*[line for line in lines if "no address" not in line])))[0] == 0


def what_it_says(event: Event) -> tuple[Any, ...]:
    return event.stamp_at, event.name, event.traits.get("city"), event.identifiers[0]


def number_of_imports(poster: Poster) -> int:
    return len(list((poster.shop.folder / "imports").glob("*.yaml")))


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    told=st.lists(
        st.tuples(st.sampled_from("curd"), st.sampled_from(["ada", "bob"]), st.sampled_from(["Ulm", "Bonn"])),
        min_size=1,
        max_size=8,
    ),
    cuts=st.lists(st.integers(0, 8), max_size=3),
    again=st.booleans(),
)
def test_in_any_batches_they_bring_what_a_file_of_them_brings(
    poster: Poster, told: Sequence[tuple[str, str, str]], cuts: list[int], again: bool
) -> None:
    number = next(NUMBERS)
    lines = [change(op, f"{id}-{number}", "" if op == "d" else city, n) for n, (op, id, city) in enumerate(told, 10)]
    if not number_of_imports(poster):
        poster.declare(CHANGES)
        poster.declare(CHANGES.replace("posted: changes", "changes: filed.jsonl"), "filed")
    places = [0, *sorted(min(cut, len(lines)) for cut in cuts), len(lines)]
    before = len(poster.events())
    for start, end in itertools.pairwise(places):
        for _ in range(1 + again):
            poster.post(*changes(*lines[start:end]))
    posted = poster.events()[before:]
    (poster.shop.folder / "filed.jsonl").write_text("".join(lines))
    read = poster.shop.run("filed")
    assert [what_it_says(event) for event in posted] == [what_it_says(event) for event in read]


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [ROWS, CHANGES])
def test_a_batch_that_broke_off_before_it_was_noted_is_sent_again_and_told_once(
    poster: Poster, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    poster.declare(text)
    rows = [contact("ada"), contact("bob")] if text == ROWS else changes(change("c", "ada", "Ulm", 11))

    def broken(*_: Any) -> None:
        raise Transient("records.locked", "away")

    with monkeypatch.context() as patch:
        patch.setattr("mailwright.stores.records.posted.SqlPosted.note", broken)
        with pytest.raises(Transient):
            poster.post(*rows)
    first = {event.message_id for event in poster.events()}
    assert counts(poster.post(*rows))[0] == len(rows)
    assert {event.message_id for event in poster.events()} == first
    assert len(first) == len(rows)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
from running_project import opened
from mailwright.runtime.imports import posted
from mailwright.runtime.project.versions import current_project

with opened(Path(sys.argv[2])) as there:
    def dying(of):
        def call(*told):
            if sys.argv[4] == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            of(*told)
            os.kill(os.getpid(), signal.SIGKILL)
        return call
    if sys.argv[3] == "log":
        posted.put_frame = dying(posted.put_frame)
    else:
        there.records.posted.note = dying(there.records.posted.note)
    posted.Posting(there, current_project(there)[1], "crm").take(sys.stdin.buffer.read().splitlines())
"""


@pytest.mark.parametrize(
    ("place", "when"), [("log", "before"), ("log", "after"), ("note", "before"), ("note", "after")]
)
def test_killed_between_any_two_writes_it_loses_and_doubles_nothing(poster: Poster, place: str, when: str) -> None:
    poster.declare(CHANGES)
    poster.post(*changes(change("c", "ada", "Ulm", 11)))
    rows = changes(change("u", "ada", "Bonn", 12), change("d", "ada", "", 13), change("c", "bob", "Kiel", 14))
    asked = [sys.executable, "-c", KILLED, str(Path(__file__).parents[2] / "scenarios"), str(poster.shop.folder)]
    ran = subprocess.run([*asked, place, when], input=b"\n".join(rows), timeout=240)
    assert ran.returncode == -signal.SIGKILL
    assert counts(poster.post(*rows)) == ((0, 3, 0, 0) if (place, when) == ("note", "after") else (3, 0, 0, 0))
    cities = [event.traits.get("city") for event in poster.events()]
    assert cities == ["Ulm", "Bonn", None, "Kiel"]


def test_nothing_of_a_batch_is_in_whose_rows_find_no_room(poster: Poster, monkeypatch: pytest.MonkeyPatch) -> None:
    (poster.shop.folder / "tracking-plan.yaml").write_text(
        "events: {Paid: {schema: {type: object, properties: {total: {type: number}}}, violation: quarantine}}\n"
    )
    columns = "{who: userId, what: event, total: properties.total}"
    poster.declare(f"title: Till\nas: track\nposted: rows\ncolumns: {columns}\n")
    monkeypatch.setattr("mailwright.runtime.quarantine.MOST_HELD", 0)
    before = poster.records()
    with pytest.raises(Transient) as found:
        poster.post({"who": "ada", "what": "Seen"}, {"who": "bob", "what": "Paid", "total": "x"})
    assert (found.value.code, poster.records()) == ("quarantine.full", before)


def test_rows_of_other_imports_are_not_taken_and_a_posted_one_is_not_run(poster: Poster) -> None:
    poster.declare(ROWS)
    poster.declare(ROWS.replace("posted: rows", "file: crm.csv"), "files")
    with pytest.raises(NotFound, match="no import 'crn'"):
        poster.post(name="crn")
    with pytest.raises(Conflict, match="come from its file"):
        poster.post(contact("ada"), name="files")
    poster.shop.run_fails("crm", "are posted, none are read")
    poster.post(contact("ada"), contact("bob"))
    listed = done("imports", "--project", str(poster.shop.folder))
    assert "posted" in listed
    with opened(poster.shop.folder) as there:
        state = read_state(there.records.meta, "crm")
        assert (state.n_run, state.n_rows, state.n_things) == (1, 2, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROWS + "every: 1 hour\n", "when it is posted"),
        (ROWS + "skip_bad: true\n", "each bad row is answered for"),
        (ROWS + "deletes: {compare: true, then: unset}\n", "never all the rows"),
        (ROWS + "deletes: {then: unset}\n", "how a deleted row is known"),
        (ROWS + "cursor: {column: id}\n", "a cursor goes with sql"),
        (CHANGES.replace("key: id\n", ""), "need the row's key"),
        ("title: P\nas: items\ncatalog: products\nposted: rows\ncolumns: {sku: item_id}\n", "rows of items need a key"),
        (ROWS.replace("posted: rows", "posted: both"), "Invalid enum value 'both'"),
    ],
)
def test_a_wrong_definition_is_told(poster: Poster, text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as found:
        poster.declare(text)
    assert message in str(found.value) + "".join(issue.message for issue in found.value.issues)
