"""Declared imports from every other origin, from the file to the log."""

import json
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent.parent
sys.path[:0] = [str(TESTS / "scenarios"), str(TESTS / "servers"), str(Path(__file__).parent)]

from running_project import mailwright, opened  # noqa: E402
from test_imports_sql import Shop, users  # noqa: E402

from mailwright.core.errors import InvalidInput, MailwrightError  # noqa: E402
from mailwright.core.instants import format_iso  # noqa: E402
from mailwright.runtime.imports.declared import DeclaredImport  # noqa: E402
from mailwright.runtime.imports.jobs import import_jobs  # noqa: E402
from mailwright.runtime.imports.state import read_state  # noqa: E402
from mailwright.runtime.project.versions import current_project  # noqa: E402

RSS = """<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>{}</channel></rss>"""
ITEM = "<item><g:id>{}</g:id><title>{}</title><g:price>{} EUR</g:price><link>https://a.test/{}</link></item>"
FEED = """\
title: The shop's feed
feed: feed.xml
catalog: products
deletes: {compare: true, then: facts, facts: {category: gone}}
every: 1 hour
"""
CHANGES = """\
title: Contacts as they change
as: identify
changes: drop/*.jsonl
key: id
columns: {id: userId, mail: traits.email, city: traits.city}
deletes: {then: suppress}
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(tmp_path / "shop", "sqlite://", monkeypatch)


def change(op: str, id: str, city: str, lsn: int) -> str:
    row = {"id": id, "mail": f"{id}@shop.test", "city": city}
    before = {"id": id} if op == "d" else None
    told = {"op": op, "before": before, "after": None if op == "d" else row, "ts_ms": 1767225600000 + lsn}
    return json.dumps({**told, "source": {"lsn": lsn, "ts_ms": 1767225600000 + lsn}}) + "\n"


def test_a_topic_of_changes_is_followed_in_its_order_and_counted_once(shop: Shop) -> None:
    drop = shop.folder / "drop"
    drop.mkdir()
    shop.declare(CHANGES)
    first = change("r", "ada", "Ulm", 10) + change("c", "bob", "Ulm", 11) + change("u", "ada", "Bonn", 12) + "null\n"
    (drop / "1.jsonl").write_text(first)
    found = shop.run()
    assert [(one.identifiers[0].value, one.traits["city"]) for one in found] == [
        ("ada", "Ulm"),
        ("bob", "Ulm"),
        ("ada", "Bonn"),
    ]
    assert found[0].stamp_at == 1767225600010000
    (drop / "2.jsonl").write_text(first + change("d", "bob", "", 13) + change("u", "ada", "Kiel", 14))
    again = shop.run()  # the topic is read again from its start: what is older than what is known is passed over
    assert [one.traits["city"] for one in again] == ["Ulm", "Bonn", "Kiel"]
    # Repeated at the same place of the topic, and known to the engine by their ids.
    assert [one.message_id for one in again[:2]] == [found[1].message_id, found[2].message_id]
    assert shop.suppressed("ada@shop.test", "bob@shop.test") == {"bob@shop.test": "deleted in crm"}
    (drop / "3.jsonl").write_text(change("c", "bob", "Ulm", 11) + change("u", "ada", "Kiel", 14))
    assert [one.traits["city"] for one in shop.run()] == ["Kiel"]  # bob does not come back
    assert shop.run() == []


def test_a_rehearsal_tells_where_the_columns_of_a_topic_go(shop: Shop) -> None:
    drop = shop.folder / "drop"
    drop.mkdir()
    shop.declare(CHANGES)
    (drop / "1.jsonl").write_text(change("c", "ada", "Ulm", 10) + change("d", "ada", "", 11) + "null\n")
    with opened(shop.folder) as there:
        told = DeclaredImport(there, current_project(there)[1], "crm").rehearse().files[0].columns
    found = {one.column: (one.to, one.n_filled, list(one.examples)) for one in told}
    assert found == {
        "id": ("userId", 1, ["ada"]),
        "mail": ("traits.email", 1, ["a***@s***.test"]),
        "city": ("traits.city", 1, ["Ulm"]),
    }


def test_a_feed_fills_the_catalog_and_marks_what_is_gone(shop: Shop) -> None:
    shop.declare(FEED)
    path = shop.folder / "feed.xml"
    path.write_text(RSS.format(ITEM.format("p1", "Mug", "12.50", "p1") + ITEM.format("p2", "Cup", "3", "p2")))
    first = shop.run()
    assert first[0].facts == {"title": "Mug", "price": 12.5, "url": "https://a.test/p1"}
    assert shop.run() == []
    path.write_text(RSS.format(ITEM.format("p1", "Mug", "9.50", "p1")))
    changed, gone = shop.run()
    assert (changed.item_id, changed.facts["price"]) == ("p1", 9.5)
    assert (gone.item_id, gone.facts) == (
        "p2",
        {"title": "Cup", "price": 3, "url": "https://a.test/p2", "category": "gone"},
    )
    path.write_text(RSS.format(""))
    with pytest.raises(MailwrightError, match="found no row where there were 1"):
        shop.run()
    path.write_text(RSS.format(ITEM.format("p1", "Mug", "cheap", "p1")))
    with pytest.raises(InvalidInput, match=r"feed\.xml: line 1, facts\.price"):
        shop.run()


def test_a_former_service_is_brought_over(shop: Shop) -> None:
    drop = shop.folder / "old"
    drop.mkdir()
    (drop / "subscribed_members_export.csv").write_text(
        "Email Address,First Name,CONFIRM_TIME,LAST_CHANGED\n"
        "ada@shop.test,Ada,2024-05-01 10:00:00,2024-05-03 10:00:00\nbob@shop.test,Bob,,\n"
    )
    (drop / "cleaned_members_export.csv").write_text("Email Address\ncem@shop.test\n")
    (drop / "opens.csv").write_text("Email,Campaign,Action,Timestamp\nada@shop.test,May,open,2024-05-02T10:00:00Z\n")
    shop.declare("title: Mailchimp\nfile: old/*.csv\npreset: mailchimp\npurpose: newsletter\nhistory: true\n")
    with opened(shop.folder) as there:
        made = DeclaredImport(there, current_project(there)[1], "crm").rehearse().found.made
    assert made == {
        "identify": 3,
        "consent to newsletter granted": 1,
        "address suppressed: cleaned at mailchimp": 1,
        "Email Opened": 1,
    }
    events = shop.run()
    assert sorted(event.name or event.type for event in events) == ["Email Opened", "identify", "identify", "identify"]
    assert all(event.history for event in events)
    [ada_told] = [one for one in events if one.type == "identify" and one.stamp_at < one.received_at]
    assert format_iso(ada_told.stamp_at) == format_iso(ada_told.known_at) == "2024-05-03T10:00:00Z"
    assert shop.suppressed("ada@shop.test", "cem@shop.test") == {"cem@shop.test": "cleaned at mailchimp"}
    with opened(shop.folder) as there:
        ada, bob = (there.sealer.hash_address(f"{name}@shop.test") for name in ("ada", "bob"))
        assert there.records.consents.granted([ada, bob], "newsletter") == {ada}
        assert there.records.consents.ledger(ada)[0].wording.startswith("imported from mailchimp")
    assert shop.run() == []


def test_ga4_rows_become_events(shop: Shop) -> None:
    row = {
        "event_name": "add_to_cart",
        "event_timestamp": 1767225600000000,
        "user_pseudo_id": "1.2",
        "items": [{"item_id": "p1", "price": 2}],
    }
    (shop.folder / "events_20260101.jsonl").write_text(json.dumps(row) + "\n")
    shop.declare("title: GA4\nga4: events_*.jsonl\nhistory: true\n")
    (event,) = shop.run()
    assert (event.name, event.properties) == ("Product Added", {"product_id": "p1", "price": 2})
    assert event.identifiers[0].value == "1.2"


def test_rows_that_are_passed_over_are_counted(shop: Shop) -> None:
    """In the run's summary, in what is kept of it, and in a rehearsal; an export's own words, never a cell's."""
    row = {"event_timestamp": 1767225600000000, "user_pseudo_id": "1.2"}
    names = ("scroll", "page_view", "session_start", "scroll")
    lines = [json.dumps(row | {"event_name": name, "n": n}) for n, name in enumerate(names)]
    (shop.folder / "events_1.jsonl").write_text("\n".join(lines))
    shop.declare("title: GA4\nga4: events_*.jsonl\n")
    told = "4 rows read, 1 taken, 3 passed over (2 scroll, 1 session_start)"
    with opened(shop.folder) as there:
        assert str(DeclaredImport(there, current_project(there)[1], "crm").rehearse()) == told
    shop.run()
    assert str(shop.outcome) == told
    with opened(shop.folder) as there:
        assert read_state(there.records.meta, "crm").n_passed_over == 3
    shop.run()
    assert str(shop.outcome) == ""


def test_what_people_did_in_words_that_nobody_knows_is_only_counted(shop: Shop) -> None:
    text = "Email,Action,Timestamp\na@b.test,open,2024-01-05\na@b.test,asked for Ada Byron,2024-01-05\n"
    (shop.folder / "activity.csv").write_text(text)
    shop.declare("title: What people did\nfile: activity.csv\npreset: klaviyo\npurpose: news\n")
    assert [event.name for event in shop.run()] == ["Email Opened"]
    assert str(shop.outcome) == "2 rows read, 1 taken, 1 passed over"


SOURCE = """
import dlt

ROWS = {rows}

@dlt.resource(name="people")
def people(first=0, updated=dlt.sources.incremental("updated", initial_value=0)):
    yield [row for row in ROWS if row["id"] >= first]

def broken():
    raise RuntimeError("the service is away")
"""


def test_a_dlt_source_and_what_it_remembers(shop: Shop) -> None:
    pytest.importorskip("dlt")
    rows = [{"id": 10 + n, "mail": f"u{n}@shop.test", "updated": n} for n in range(3)]
    path = shop.folder / "crm_rows.py"
    path.write_text(SOURCE.replace("{rows}", repr(rows)))
    shop.declare(
        "title: CRM\nas: identify\ncolumns: {id: userId, mail: traits.email}\nkey: id\n"
        "cursor: null\ndlt: {call: 'crm_rows:people', arguments: {first: 11}}\n"
    )
    assert users(shop.run()) == ["11", "12"]
    assert shop.run() == []
    rows.append({"id": 20, "mail": "new@shop.test", "updated": 9})
    path.write_text(SOURCE.replace("{rows}", repr(rows)))
    sys.modules.pop("crm_rows")
    assert users(shop.run()) == ["20"]
    left = [one for one in (shop.folder / "data" / "imports").rglob("*") if one.is_file()]
    assert not any(b"shop.test" in one.read_bytes() for one in left)
    shop.declare("title: CRM\nas: identify\ncolumns: {id: userId}\ndlt: {call: 'crm_rows:broken'}\n", name="broken")
    with pytest.raises(MailwrightError, match="RuntimeError: the service is away"):
        shop.run("broken")
    shop.declare("title: CRM\nas: identify\ncolumns: {id: userId}\ndlt: {call: 'crm_rows:nix'}\n", name="broken")
    with pytest.raises(MailwrightError, match="no function 'nix'"):
        shop.run("broken")
    sys.modules.pop("crm_rows")


def test_a_time_zone_that_cannot_be_read_is_kept_and_is_no_fault_of_its_row(shop: Shop) -> None:
    shop.declare("title: Contacts\nas: identify\nfile: crm.csv\ncolumns: {id: userId, zone: traits.timezone}\n")
    (shop.folder / "crm.csv").write_text("id,zone\nada,(GMT+01:00) Amsterdam\nbob,europe/berlin\n")
    told = [(one.identifiers[0].value, one.traits) for one in shop.run()]
    assert told == [("ada", {"timezone": "(GMT+01:00) Amsterdam"}), ("bob", {"timezone": "Europe/Berlin"})]
    assert shop.outcome.found.n_faults == 0


def test_files_are_read_again_only_when_they_changed(shop: Shop) -> None:
    drop = shop.folder / "drop"
    drop.mkdir()
    shop.declare("title: D\nas: identify\nfile: drop/*.csv\ncolumns: {id: userId, city: traits.city}\n")
    assert shop.run() == []
    (drop / "a.csv").write_text("id,city\nada,Ulm\n")
    (drop / "b.csv").write_text("id;city\nbob;Ulm\n")
    assert users(shop.run()) == ["ada", "bob"]
    assert shop.run() == []
    (drop / "b.csv").write_text("id,city\nbob,Bonn\n")
    assert users(shop.run()) == ["bob"]
    (drop / "c.csv").write_text("id,town\ncem,Ulm\n")
    with pytest.raises(InvalidInput, match="no column 'city'"):
        shop.run()


WRONG = {
    "no origin": ("title: X\nas: identify\n", "say one of file, sql"),
    "two origins": (CHANGES + "file: x.csv\n", "say one of file, sql"),
    "no kind": ("title: X\nfile: x.csv\ncolumns: {a: userId}\n", "does not say what a row is"),
    "nobody": ("title: X\nas: identify\nfile: x.csv\ncolumns: {a: traits.a}\n", "no column says who"),
    "a wrong target": ("title: X\nas: identify\nfile: x.csv\ncolumns: {a: userID}\n", "'userID' is nothing"),
    "compare without key": (
        "title: X\nas: identify\nfile: x.csv\ncolumns: {a: userId}\ndeletes: {compare: true, then: unset}\n",
        "found by the rows' key",
    ),
    "changes without key": (CHANGES.replace("key: id\n", ""), "need the row's key"),
    "no address": (
        CHANGES.replace(", mail: traits.email", "").replace("id: userId", "id: anonymousId"),
        "needs a column that goes to traits.email",
    ),
    "a preset without purpose": ("title: X\nfile: x.csv\npreset: klaviyo\n", "what the subscribers agreed to"),
    "a schedule": (CHANGES + "every: 0 hours\n", "no time at all"),
    "facts of people": (CHANGES.replace("then: suppress", "then: facts, facts: {a: 1}"), "is for items"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_declaration_is_told_with_its_place(shop: Shop, name: str) -> None:
    text, words = WRONG[name]
    with pytest.raises(InvalidInput, match=words) as caught:
        shop.declare(text)
    assert "imports/crm.yaml" in str(caught.value)


def test_an_import_that_is_not_in_force_yet_can_be_tried(shop: Shop) -> None:
    (shop.folder / "imports").mkdir()
    (shop.folder / "imports" / "crm.yaml").write_text(FEED)
    (shop.folder / "feed.xml").write_text(RSS.format(ITEM.format("p1", "Mug", "12.50", "p1")))
    at = ("--project", str(shop.folder))
    before = shop.last()
    tried = mailwright("import", "crm", "--dry-run", *at).stdout
    assert "imports/crm.yaml is not in force yet" in tried
    assert "1 row read, 1 taken" in tried
    ran = mailwright("import", "crm", *at).stderr
    assert "the import 'crm' is not in force yet" in ran
    assert "run `mailwright apply`" in ran
    assert shop.last() == before


def test_from_the_command_line(shop: Shop) -> None:
    shop.declare(FEED)
    (shop.folder / "feed.xml").write_text(RSS.format(ITEM.format("p1", "Mug", "12.50", "p1")))
    at = ("--project", str(shop.folder))
    told = mailwright("import", "crm", "--dry-run", *at)
    assert "1 x item of products" in told.stdout, told.stderr
    assert "facts.price" in told.stdout
    assert "1 row read, 1 taken" in mailwright("run", "import:crm", *at).stdout
    assert "Nothing is new" not in mailwright("imports", *at).stdout
    listed = " ".join(mailwright("imports", *at).stdout.split())
    assert "crm The shop's feed feed every hour" in listed
    assert listed.endswith("1 1 0 0 0 0")
    assert "there is no import 'cmr'" in mailwright("import", "cmr", *at).stderr
    (shop.folder / "feed.xml").unlink()
    failed = mailwright("run", "import:crm", *at).stderr
    assert failed.count("there is no file") == 1, failed
    with opened(shop.folder) as there:
        assert [job.name for job in import_jobs(current_project(there)[1], there.settings)] == ["import:crm"]
