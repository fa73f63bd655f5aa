"""Ends of rows that the door does not take: told in the run, counted as faults, and told again by the next."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[2] / "scenarios"), str(Path(__file__).parent)]

from test_imports_origins import change  # noqa: E402
from test_imports_sql import Shop  # noqa: E402

CRM = """\
title: Contacts
as: identify
file: crm.csv
columns: {id: userId, name: traits.name, mail: traits.email}
key: id
deletes: {compare: true, then: event, event: Contact Gone}
skip_bad: true
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(tmp_path / "shop", "sqlite://", monkeypatch)


def policy(shop: Shop, of_unknown: str, text: str = CRM) -> None:
    (shop.folder / "tracking-plan.yaml").write_text(f"unknown_events: {of_unknown}\nevents: {{}}\n")
    shop.declare(text)


def ran(shop: Shop, *rows: str, head: str = "id,name,mail\n") -> list[str]:
    """Who came, and whose end was told."""
    (shop.folder / "crm.csv").write_text(head + "".join(f"{row}\n" for row in rows))
    return [f"{event.identifiers[0].value} {event.name}".strip() for event in shop.run()]


def test_an_end_that_the_door_refuses_is_a_fault_and_is_told_once_it_is_taken(shop: Shop) -> None:
    policy(shop, "block")
    assert ran(shop, "ada,Ada,", "bob,Bob,", "cem,Cem,") == ["ada", "bob", "cem"]
    assert ran(shop, "ada,Ada,") == []
    assert str(shop.outcome) == "1 row read, 0 taken, 2 faults left out"
    assert shop.outcome.found.faults[0].path == "crm.csv: a row that is gone, event"
    assert shop.outcome.found.n_good == 1
    policy(shop, "allow")
    assert sorted(ran(shop, "ada,Ada,", "dora,Dora,")) == ["bob Contact Gone", "cem Contact Gone", "dora"]
    assert (shop.outcome.n_deleted, shop.outcome.found.n_faults) == (2, 0)
    assert ran(shop, "ada,Ada,", "dora,Dora,", "eve,Eve,") == ["eve"], "each end is told once"


def test_a_row_that_comes_back_before_its_end_was_taken_never_went(shop: Shop) -> None:
    policy(shop, "block")
    ran(shop, "ada,Ada,", "bob,Bob,")
    ran(shop, "ada,Ada,")
    policy(shop, "allow")
    assert ran(shop, "bob,Bob,", "ada,Ada,") == []


def test_a_soft_deleted_rows_end_is_tried_again(shop: Shop) -> None:
    text = CRM.replace("compare: true", "column: gone")
    policy(shop, "block", text)
    head = "id,name,mail,gone\n"
    ran(shop, "ada,Ada,,", "bob,Bob,,", head=head)
    assert ran(shop, "ada,Ada,,", "bob,Bob,,yes", head=head) == []
    assert (shop.outcome.n_deleted, shop.outcome.found.n_faults) == (0, 1)
    policy(shop, "allow", text)
    assert ran(shop, "ada,Ada,,", "bob,Bob,,yes", "cem,Cem,,", head=head) == ["bob Contact Gone", "cem"]


@pytest.mark.parametrize("back", [False, True])
def test_an_end_in_a_topic_of_changes_is_tried_again(shop: Shop, back: bool) -> None:
    text = CRM.replace("file: crm.csv", "changes: drop/*.jsonl").replace("compare: true, ", "")
    text = text.replace("name: traits.name", "city: traits.city")
    drop = shop.folder / "drop"
    drop.mkdir()
    policy(shop, "block", text)
    told = change("c", "bob", "Ulm", 11) + change("d", "bob", "", 13)
    told += change("c", "bob", "Bonn", 14) if back else ""
    (drop / "1.jsonl").write_text(change("c", "bob", "Ulm", 11))
    shop.run()
    (drop / "1.jsonl").write_text(told)
    shop.run()
    assert (shop.outcome.n_deleted, shop.outcome.found.n_faults) == (0, 1)
    policy(shop, "allow", text)
    (drop / "1.jsonl").write_text(told + change("c", "cem", "Ulm", 15))
    names = [f"{event.identifiers[0].value} {event.name}".strip() for event in shop.run()]
    # The newest change that was taken before is repeated, under its id.
    assert names == ["bob", *([] if back else ["bob Contact Gone"]), "cem"]


def test_an_end_that_is_refused_takes_no_other_with_it(shop: Shop) -> None:
    (shop.folder / "tracking-plan.yaml").write_text(
        "events: {Contact Gone: {schema: {type: object, properties: {key: {enum: [bob]}}}, violation: block}}\n"
    )
    shop.declare(CRM)
    assert ran(shop, "ada,Ada,", "bob,Bob,", "cem,Cem,") == ["ada", "bob", "cem"]
    assert ran(shop, "ada,Ada,", "dora,Dora,no address", "eve,Eve,") == ["eve", "bob Contact Gone"]
    assert (shop.outcome.n_deleted, shop.outcome.found.n_faults, shop.outcome.found.n_good) == (1, 2, 2)


UNSET = """\
title: Contacts
as: identify
file: crm.csv
columns: {id: userId, mail: traits.email, call: traits.phone, city: traits.city}
key: id
deletes: {compare: true, then: unset}
"""


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (UNSET, ["ada,ada@shop.test,+4366412345678,Wien", "bob,bob@shop.test,,Ulm"]),
        (UNSET.replace("userId", "anonymousId"), ["ada,ada@shop.test,+4366412345678,Wien", "bob,bob@shop.test,,Ulm"]),
        (
            UNSET.replace("id: userId, ", "").replace("key: id", "key: mail"),
            ["1,ada@shop.test,,Wien", "2,b@x.test,,Ulm"],
        ),
        (
            UNSET.replace("id: userId, ", "").replace("key: id", "key: call"),
            ["1,,0043 664 12345678,Wien", "2,,+4930123456,Ulm"],
        ),
        (UNSET.replace("mail: traits.email, ", ""), ["ada@shop.test,,+4366412345678,Wien", "bob,,,Ulm"]),
    ],
)
def test_a_row_that_is_gone_takes_its_address_and_number_with_it(shop: Shop, text: str, rows: list[str]) -> None:
    shop.declare(text)
    file = shop.folder / "crm.csv"
    file.write_text("id,mail,call,city\n" + "".join(f"{row}\n" for row in rows))
    ada = shop.run()[0]
    file.write_text(f"id,mail,call,city\n{rows[1]}\n")
    [gone] = shop.run()
    assert gone.traits == dict.fromkeys(ada.traits)
    assert gone.traits.keys() & {"email", "phone"}
    assert gone.identifiers[0] in ada.identifiers, "it is told of the same person"
    assert "externalIds" not in gone.context
    file.write_text("id,mail,call,city\n" + "".join(f"{row}\n" for row in rows))
    [again] = shop.run()
    assert again.traits.keys() == ada.traits.keys(), "a row that comes back brings all of it again"
    assert None not in again.traits.values()


def test_a_deletion_in_a_topic_takes_the_address_too(shop: Shop) -> None:
    text = UNSET.replace("file: crm.csv", "changes: drop/*.jsonl").replace("compare: true, ", "")
    shop.declare(text.replace("mail: traits.email, call: traits.phone, ", "mail: traits.email, "))
    drop = shop.folder / "drop"
    drop.mkdir()
    told = change("c", "d502", "Ulm", 11)
    (drop / "1.jsonl").write_text(told)
    [known] = shop.run()
    (drop / "1.jsonl").write_text(told + change("d", "d502", "", 13))
    gone = shop.run()[-1]
    assert gone.traits == dict.fromkeys(known.traits)


def test_the_event_of_an_end_tells_no_personal_part_of_the_key(shop: Shop) -> None:
    text = UNSET.replace("then: unset", 'then: event, event: "Contact Gone"').replace(
        "key: id", "key: [id, call, mail]"
    )
    shop.declare(text)
    file = shop.folder / "crm.csv"
    file.write_text("id,mail,call,city\nada,ada@shop.test,+4366412345678,Wien\nbob,b@shop.test,+4930123456,Ulm\n")
    shop.run()
    file.write_text("id,mail,call,city\nbob,b@shop.test,+4930123456,Ulm\n")
    [gone] = shop.run()
    assert gone.properties == {"key": "ada, , "}
