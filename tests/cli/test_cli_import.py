"""``mailwright import``: what goes in, and every way in which a file can be wrong."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path[:0] = [str(Path(__file__).parent.parent / "scenarios")]

from running_project import SETTINGS, done, mailwright, make_project, opened  # noqa: E402

from mailwright.cli.main import app  # noqa: E402
from mailwright.core.errors import MailwrightError  # noqa: E402
from mailwright.core.events import Event, Events, Items  # noqa: E402
from mailwright.core.instants import parse_iso  # noqa: E402
from mailwright.ingest.drafts import drafts_of  # noqa: E402

PEOPLE = "user_id,email,firstName\nada,ada@shop.test,Ada\nbob,bob@shop.test,Bob\n"
ORDERS = (
    "user_id,timestamp,order_id,total,products\n"
    'ada,2026-01-05T10:00:00Z,o1,12.50,"[{""product_id"": ""p1"", ""quantity"": 1}]"\n'
    'bob,2026-01-06T10:00:00Z,o2,7,"[]"\n'
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_project(tmp_path / "shop", SETTINGS)


def bodies(shop: Path) -> list:
    with opened(shop) as there:
        return [record.body for record in there.log.read(0, 100) if isinstance(record.body, Events | Items)]


def events(shop: Path) -> list[Event]:
    return [event for body in bodies(shop) if isinstance(body, Events) for event in body.events]


def run(shop: Path, name: str, text: str | bytes, *args: str) -> str:
    """Import a file in this process; returns what is printed, raises what is wrong."""
    path = shop.parent / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    ran = CliRunner().invoke(app, ["import", str(path), "--project", str(shop), *args])
    if ran.exception:
        raise ran.exception
    return ran.output


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_people_orders_and_items(shop: Path) -> None:
    assert "2 rows imported" in run(shop, "people.csv", PEOPLE, "--as", "identify")
    run(shop, "orders.csv", ORDERS, "--as", "track", "--event", "Order Completed", "--source", "till", "--history")
    items = '{"id": "p1", "title": "Syrup", "price": 7.5}\n'
    run(shop, "items.jsonl", items, "--as", "items", *maps("id=item_id", "title=title", "price=price"))
    ada, _, first, second = events(shop)
    assert (ada.type, ada.source, ada.traits["firstName"]["hash"] != "") == ("identify", "import", True)
    assert [identifier.kind for identifier in ada.identifiers] == ["user_id", "email"]
    assert "ada@shop.test" not in str(ada)
    assert (first.name, first.source, first.history) == ("Order Completed", "till", True)
    assert first.properties == {"order_id": "o1", "total": 12.5, "products": [{"product_id": "p1", "quantity": 1}]}
    assert first.stamp_at == first.known_at == parse_iso("2026-01-05T10:00:00Z")
    assert second.properties["total"] == 7
    (item,) = bodies(shop)[-1].items
    assert (item.catalog, item.item_id, item.facts) == ("products", "p1", {"title": "Syrup", "price": 7.5})


def maps(*pairs: str) -> list[str]:
    return [word for pair in pairs for word in ("--map", pair)]


def test_columns_go_where_they_are_told(shop: Path) -> None:
    text = "Kunde;Mail;Umsatz;Rest\n7;ada@shop.test;1234.50;x\n"
    told = run(
        shop,
        "kunden.csv",
        text.encode("cp1252"),
        *["--as", "identify", "--delimiter", ";", "--encoding", "cp1252"],
        *maps("Kunde=userId", "Mail=email", "Umsatz=traits.revenue:number"),
    )
    (ada,) = events(shop)
    assert ada.traits["revenue"] == 1234.5
    assert ada.identifiers[0].value == "7"
    assert "Columns that are not read: Rest." in told


def test_the_same_file_twice_adds_nothing(shop: Path) -> None:
    run(shop, "people.csv", PEOPLE, "--as", "identify")
    before = bodies(shop)
    assert "there is nothing to add" in run(shop, "people.csv", PEOPLE, "--as", "identify")
    assert bodies(shop) == before


def test_an_import_that_was_broken_off_doubles_nothing(shop: Path) -> None:
    """The message ids follow from the file and the line: what a second run sends again is known."""
    run(shop, "people.csv", PEOPLE, "--as", "identify")
    with opened(shop) as there:
        (key,) = [f"import.{name}" for name in imports(there)]
        there.records.meta.put(key, "")  # as if it had not come to its end
    run(shop, "people.csv", PEOPLE, "--as", "identify")
    found = [event.message_id for event in events(shop)]
    assert len(found) == 4
    assert len(set(found)) == 2
    run(shop, "other.csv", PEOPLE + "cem,cem@shop.test,Cem\n", "--as", "identify")
    assert len({event.message_id for event in events(shop)}) == 5


def imports(there) -> list[str]:
    import sqlite3

    with sqlite3.connect(there.settings.data_folder / "records.sqlite") as database:
        found = [row[0] for row in database.execute("SELECT key FROM meta WHERE key LIKE 'import.%'")]
    database.close()
    return [key.removeprefix("import.") for key in found]


def test_a_dry_run_imports_nothing_and_tells_what_would_be(shop: Path) -> None:
    told = run(shop, "people.csv", PEOPLE.replace(",", ";"), "--as", "identify", "--dry-run")
    assert "2 rows, 2 of them good." in told
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert "email traits.email as it comes 2 a***@s***.test, b***@s***.test" in lines
    assert "user_id userId as it comes 2 ada, bob" in lines
    assert "firstName traits.firstName as it comes 2 A***, B***" in lines
    assert "2 x identify" in lines
    assert bodies(shop) == []
    assert not list((shop / "data").glob("imports/*"))


def test_consents_and_suppressions_from_files(shop: Path) -> None:
    text = "email,purpose,granted,source,wording,at\nada@shop.test,newsletter,yes,crm,Yes please,2026-01-01\n"
    text += "bob@shop.test,newsletter,no,crm,,2026-01-01\n"
    assert "2 rows imported" in run(shop, "consents.csv", text, "--as", "consents")
    run(shop, "again.csv", text, "--as", "consents")  # the same rows by another name: nothing new
    run(shop, "out.csv", "email,reason\ncem@shop.test,complained\n", "--as", "suppressions")
    with opened(shop) as there:
        ada, bob, cem = (there.sealer.hash_address(f"{name}@shop.test") for name in ("ada", "bob", "cem"))
        assert there.records.consents.granted([ada, bob], "newsletter") == {ada}
        assert [len(there.records.consents.ledger(one)) for one in (ada, bob)] == [1, 1]
        assert there.records.consents.suppressed([ada, cem]) == {cem: "complained"}


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
from running_project import opened
from mailwright.ingest.segment import Source
from mailwright.runtime.importing import FileImport, Importer
from mailwright.runtime.project.versions import current_project

taken = 0
def done(n):
    global taken
    taken += n
    if taken >= int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

with opened(Path(sys.argv[2])) as there:
    asked = FileImport(path=Path(sys.argv[3]), kind="identify", source=Source(name="import"), columns={})
    importer = Importer(there, current_project(there)[1], asked)
    if importer.begun() is None:
        read = done if sys.argv[5] == "reading" else lambda n: None
        importer.prepare(read)
    importer.deliver(done)
"""


@pytest.mark.parametrize(
    ("when", "at"), [("reading", 1), ("delivering", 1), ("delivering", 4500), ("delivering", 9000)]
)
def test_killed_in_the_middle_it_goes_on_and_adds_nothing_twice(shop: Path, when: str, at: int) -> None:
    path = shop.parent / "people.csv"
    path.write_text("user_id,plan\n" + "".join(f"user-{n},p{n % 7}\n" for n in range(9000)))
    scenarios = str(Path(__file__).parent.parent / "scenarios")
    ran = subprocess.run([sys.executable, "-c", KILLED, scenarios, str(shop), str(path), str(at), when], timeout=240)
    assert ran.returncode == -signal.SIGKILL
    before = len(events(shop))
    told = run(shop, "people.csv", path.read_bytes(), "--as", "identify")
    assert ("Going on with an import of 9,000 rows" in told) == (when == "delivering")
    assert "9,000 rows imported." in told
    after = events(shop)
    assert len({event.message_id for event in after}) == 9000
    assert len(after) <= 9000 + 8 * 500
    assert len(after) <= before + 9000
    assert "there is nothing to add" in run(shop, "people.csv", path.read_bytes(), "--as", "identify")
    assert len(events(shop)) == len(after)
    assert not list((shop / "data").glob("imports/*"))


def test_a_file_that_changes_while_it_is_read_is_refused(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shop.parent / "people.csv"

    def grow(*_: object) -> object:
        path.write_text(PEOPLE + "eve,eve@shop.test,Eve\n")
        return drafts_of(*_)

    monkeypatch.setattr("mailwright.runtime.importing.drafts_of", grow)
    with pytest.raises(MailwrightError, match="changed while it was read"):
        run(shop, "people.csv", PEOPLE, "--as", "identify")
    assert bodies(shop) == []
    assert not list((shop / "data").glob("imports/*"))


TRACK = ("--as", "track", "--event", "Order Completed")
ITEMS = "id,title,price\np1,Syrup,7.5\np2,Mix,\n"
WRONG = {
    "torn": (ORDERS[:-3], TRACK, "file.csv: line 3: a quoted field that begins in this row does not end"),
    "cut off": (PEOPLE + "cem,cem@sh", ("--as", "identify"), "file.csv: line 4: 2 fields, fewer than the 3 columns"),
    "a bad address": (
        PEOPLE + "cem,cem@,C\n",
        ("--as", "identify"),
        "line 4, traits.email: what was sent is no e-mail",
    ),
    "a missing price": (ITEMS, ("--as", "items"), "line 3, facts.price: required by the catalog, but missing"),
    "an unknown fact": (
        ITEMS.replace("title", "titel"),
        ("--as", "items"),
        "line 2, facts.titel: the catalog declares no such fact; did you mean 'title'?",
    ),
    "an unknown column": (
        PEOPLE,
        ("--as", "identify", *maps("user=userId")),
        "file.csv: the file has no column 'user'\n    hint: did you mean 'user_id'?",
    ),
    "an unknown target": (
        PEOPLE,
        ("--as", "identify", *maps("user_id=facts.x")),
        "'facts.x' is nothing that a row can",
    ),
    "nobody": ("email\nada@shop.test\n", TRACK, "no column says who: user_id, anonymous_id or context.traits.email"),
    "nobody told of": ("city\nUlm\n", ("--as", "identify"), "no column says who: user_id, anonymous_id or email"),
    "nobody by a slip": (
        "usr\nada\n",
        ("--as", "identify", *maps("usr=user_idd")),
        "column 'usr' becomes traits.user_idd: did you mean user_id?",
    ),
    "no group": ("user_id\nada\n", ("--as", "group"), "no column gives the group_id"),
    "no event": (
        ORDERS,
        ("--as", "track"),
        "track needs the event's name\n    hint: add --event 'Order Completed'",
    ),
    "no number": (
        ORDERS.replace("12.50", "12,5 €").replace(",o1,12,5 €", ',o1,"12,5 €"'),
        TRACK,
        "line 2, column total",
    ),
    "no time": (ORDERS.replace("2026-01-05T10", "05.01.26 10"), TRACK, "line 2, column timestamp"),
    "a missing property": (ORDERS.replace(",o1,", ",,"), TRACK, "properties.order_id: required by the tracking plan"),
    "no encoding": (
        PEOPLE.encode() + b"cem,\xff@x.test,C\n",
        ("--as", "identify"),
        "line 4: byte 5 (0xff) is not utf-8",
    ),
    "another delimiter": (
        PEOPLE.replace(",", ";"),
        ("--as", "identify", "--delimiter", ","),
        "is the delimiter another one?",
    ),
    "no kind": (PEOPLE, (), "say what a row is\n    hint: --as identify, track, "),
    "an HTML page": (
        "<!doctype html><title>Sign in</title>",
        ("--preset", "mailchimp", "--purpose", "newsletter"),
        "file.csv: line 1: the first line is no header: the file looks like an HTML page",
    ),
    "XML": ("<feed>\n</feed>\n", ("--as", "identify"), "the file looks like XML"),
    "JSON lines": ('{"user_id": "ada"}\n', ("--as", "identify"), "the file looks like JSON"),
    "words": (
        "Your session has ended\n",
        ("--preset", "mailchimp", "--purpose", "newsletter"),
        "the first line names no column with an e-mail address: 'Your session has ended'",
    ),
    "an unknown kind": (PEOPLE, ("--as", "identfy"), "hint: did you mean 'identify'?"),
    "an unknown type": (PEOPLE, ("--as", "identify", *maps("email=email:mail")), "there is no type 'mail'"),
    "no pair": (PEOPLE, ("--as", "identify", *maps("email")), "--map 'email' is no COLUMN=FIELD"),
    "no such encoding": (PEOPLE, ("--as", "identify", "--encoding", "latin9000"), "there is no encoding 'latin9000'"),
    "a long delimiter": (PEOPLE, ("--as", "identify", "--delimiter", ",,"), "a delimiter is one character"),
    "a key that is none": (PEOPLE, ("--as", "identify", "--key", "sk_x"), "no source has this write key"),
    "empty": ("", ("--as", "identify"), "the first line does not name every column"),
}


REFUSES = """\
events:
  Order Completed:
    required: [order_id]
    properties: {order_id: text, total: number}
    unknown: allow
"""
"""A tracking plan that refuses what the starter's holds back."""


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused_as_a_whole(tmp_path: Path, name: str) -> None:
    shop = make_project(tmp_path / "shop", SETTINGS, {"tracking-plan.yaml": REFUSES})
    text, args, wanted = WRONG[name]
    with pytest.raises(MailwrightError) as caught:
        run(shop, "file.csv", text, *args)
    assert wanted in str(caught.value)
    assert bodies(shop) == []


def test_the_good_rows_of_a_bad_file(shop: Path) -> None:
    text = PEOPLE + "cem,cem@,Cem\n,,Dora\neve\n"
    with pytest.raises(MailwrightError, match="its 2 good rows with --skip-bad"):
        run(shop, "people.csv", text, "--as", "identify")
    told = run(shop, "people.csv", text, "--as", "identify", "--skip-bad")
    assert "5 rows, 2 of them good." in told
    assert "people.csv: line 4, traits.email: what was sent is no e-mail address" in told
    assert "people.csv: line 5, userId: nobody is named" in told
    assert "people.csv: line 6: 1 field, fewer" in told
    assert "2 rows imported." in told
    assert len(events(shop)) == 2


@pytest.mark.parametrize("what", [("--as", "identify"), ("--preset", "mailchimp", "--purpose", "newsletter")])
def test_an_import_that_took_nothing_is_not_remembered(shop: Path, what: tuple[str, ...]) -> None:
    bad = "email\nnobody@\n" if "--preset" in what else "user_id,email\nada,nobody@\n"
    for _ in range(2):
        told = run(shop, "people.csv", bad, *what, "--skip-bad")
        assert "nothing to add" not in told
        assert "Nothing is new" not in told
        assert "Left out, 1 fault:\n  people.csv: line 2" in told
    good = bad.replace("nobody@", "ada@shop.test")
    assert "1 " in run(shop, "people.csv", good, *what)
    assert len(events(shop)) == 1


@pytest.mark.parametrize("width", [200, 60])
def test_a_dry_run_of_an_export_tells_where_each_column_goes(
    shop: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = "Email,First Name,Birthday\nada@shop.test,Ada,1815-12-10\nnobody@,Bob,\n"
    args = ("--preset", "mailchimp", "--purpose", "newsletter", "--dry-run")
    told = run(shop, "subscribed.csv", text, *args, "--skip-bad")
    words = " ".join(told.split())
    assert told.count("subscribed.csv:\n") == 1
    for line in ("Email traits.email 2 a***@s***.test", "First Name traits.firstName 2 A***", "Birthday not read 1"):
        assert line in words
    assert "consent.at unsubtime, cleantime, confirmtime, optintime, lastchanged" in words
    assert "Left out, 1 fault: subscribed.csv: line 3: what stands in the place" in words
    assert "1 x identify" in words
    assert "1815" not in told
    with pytest.raises(MailwrightError, match="line 3: what stands in the place"):
        run(shop, "subscribed.csv", text, *args)
    assert events(shop) == []


def test_a_dry_run_of_several_files_tells_each(shop: Path) -> None:
    folder = shop / "imports"
    folder.mkdir()
    (folder / "ga.yaml").write_text("title: What people did\nga4: ga-*.jsonl\n")
    for n, event in enumerate(("page_view", "search")):
        row = {"event_name": event, "event_timestamp": 1735689600000000, "user_pseudo_id": "1.2"}
        (shop / f"ga-{n}.jsonl").write_text(json.dumps(row | {f"column_{n}": "x"}))
    ran = CliRunner().invoke(app, ["import", "ga", "--dry-run", "--project", str(shop)])
    first, second = ran.output.split("ga-1.jsonl:")
    assert "ga-0.jsonl:" in first
    assert "column_0" in first
    assert "column_1" not in first
    assert "column_1" in second
    assert "column_0" not in second
    assert " ".join(second.split()).count("properties, context.page event_params") == 1
    assert "2 rows read, 2 taken." in second


def test_a_target_that_is_almost_a_reserved_name_is_warned_of(shop: Path) -> None:
    text = "usr,mail,user\nada,ada@shop.test,x\n"
    args = ("--as", "identify", *maps("usr=user_idd", "mail=email", "user=user"))
    warned = "warning: column 'usr' becomes traits.user_idd: did you mean user_id?\n"
    for more in (("--dry-run",), ()):
        told = run(shop, "people.csv", text, *args, *more)
        assert told.count("warning") == told.count(warned) == 1
    assert "warning" not in run(shop, "orders.csv", ORDERS, *TRACK, "--dry-run")


def test_of_many_faults_the_first_are_listed(shop: Path) -> None:
    text = PEOPLE + "".join(f"user-{n},nobody@,N\n" for n in range(50))
    with pytest.raises(MailwrightError, match=r"\.\.\. and 30 more faults"):
        run(shop, "people.csv", text, "--as", "identify")


def test_from_the_command_line(shop: Path) -> None:
    (shop.parent / "people.csv").write_text(PEOPLE + "cem,cem@,Cem\n")
    ran = mailwright("import", str(shop.parent / "people.csv"), "--as", "identify", "--project", str(shop))
    assert ran.returncode == 2
    assert ran.stderr == (
        "error: people.csv: line 4, traits.email: what was sent is no e-mail address\n"
        "hint: nothing was imported; mend the file, or import its 2 good rows with --skip-bad\n"
    )
    assert "no file" in mailwright("import", "nix.csv", "--as", "items", "--project", str(shop)).stderr
    key = done("create-key", "till", "--project", str(shop)).strip()
    args = ("--as", "identify", "--key", key, "--skip-bad", "--project", str(shop))
    assert "2 rows imported." in done("import", str(shop.parent / "people.csv"), *args)
    assert {event.source for event in events(shop)} == {"till"}
