"""A table of a SQL database is followed: what changed, what is gone, what was committed late; nothing twice."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

TESTS = Path(__file__).parent.parent.parent
sys.path[:0] = [str(TESTS / "scenarios"), str(TESTS / "servers")]

from postgres import Postgres, postgres  # noqa: E402, F401
from running_project import SETTINGS, make_project, opened  # noqa: E402

from mailwright.core.errors import InvalidInput, MailwrightError, Transient  # noqa: E402
from mailwright.core.events import Event, Events, Items  # noqa: E402
from mailwright.runtime.imports.declared import DeclaredImport  # noqa: E402
from mailwright.runtime.imports.delivery import Delivery  # noqa: E402
from mailwright.runtime.imports.state import cursor_start, cursor_text, read_state  # noqa: E402
from mailwright.runtime.project.versions import apply, current_project, plan  # noqa: E402
from mailwright.stores.key_table import KeyTable  # noqa: E402

CONTACTS = """\
title: Contacts of the CRM
as: identify
sql: {url_from: CRM_URL, table: contacts}
columns: {id: userId, mail: traits.email, city: traits.city, updated_at: timestamp}
key: id
cursor: {column: updated_at, overlap: 10 minutes}
"""


class Shop:
    """A project with one import, and the database that it reads."""

    def __init__(self, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = make_project(folder, SETTINGS)
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        monkeypatch.setenv("CRM_URL", url)

    def declare(self, text: str, name: str = "crm") -> None:
        (self.folder / "imports").mkdir(exist_ok=True)
        (self.folder / "imports" / f"{name}.yaml").write_text(text)
        with opened(self.folder) as there:
            apply(there, plan(there))

    def sql(self, text: str, **parameters: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(text), parameters)

    def last(self) -> int:
        """The number of the log's newest record."""
        with opened(self.folder) as there:
            return there.log.last()[0]

    def run(self, name: str = "crm", path: str = "") -> list:
        """What one more run brings: events and items; of the declared origin, or of `path` for once."""
        with opened(self.folder) as there:
            before = there.log.last()[0]
            self.outcome = DeclaredImport(there, current_project(there)[1], name).run(path=path)
            there.pump_outbox()
            bodies = [record.body for record in there.log.read(before, 100)]
        return [
            one
            for body in bodies
            for one in (body.events if isinstance(body, Events) else body.items if isinstance(body, Items) else ())
        ]

    def run_fails(self, name: str, message: str) -> None:
        with opened(self.folder) as there, pytest.raises(InvalidInput, match=message):
            DeclaredImport(there, current_project(there)[1], name).run()

    def suppressed(self, *mails: str) -> dict[str, str]:
        with opened(self.folder) as there:
            hashes = {there.sealer.hash_address(mail): mail for mail in mails}
            return {hashes[one]: reason for one, reason in there.records.consents.suppressed(list(hashes)).items()}


def users(events: list[Event]) -> list[str]:
    return [event.identifiers[0].value for event in events]


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/crm.sqlite"
    else:
        url = request.getfixturevalue("postgres").database()
    shop = Shop(tmp_path / "shop", url, monkeypatch)
    kind = "timestamp" if request.param == "sqlite" else "timestamptz"
    shop.sql(
        f"CREATE TABLE contacts (id integer PRIMARY KEY, mail text, city text, note text, "
        f"updated_at {kind}, deleted_at {kind})"
    )
    for n, name in enumerate(("ada", "bob", "cem"), 11):
        put(shop, n, name, "Ulm", f"2026-01-0{n - 10} 10:00:00+00:00")
    return shop


def put(shop: Shop, id: int, name: str, city: str, at: str | None) -> None:
    shop.sql("DELETE FROM contacts WHERE id = :id", id=id)
    shop.sql(
        "INSERT INTO contacts (id, mail, city, note, updated_at) VALUES (:id, :mail, :city, 'x', :at)",
        id=id,
        mail=f"{name}@shop.test",
        city=city,
        at=at,
    )


def test_a_second_run_brings_what_changed_since(shop: Shop) -> None:
    shop.declare(CONTACTS)
    first = shop.run()
    assert users(first) == ["11", "12", "13"]
    assert first[0].traits["city"] == "Ulm"
    assert first[0].source == "import:crm"
    assert str(shop.outcome) == "3 rows read, 3 taken"
    assert "ada@shop.test" not in str(first)
    assert shop.run() == []  # the boundary is read again
    assert str(shop.outcome) == "1 row read, 0 taken"
    put(shop, 11, "ada", "Bonn", "2026-01-04 10:00:00+00:00")
    put(shop, 14, "dora", "Kiel", "2026-01-03 10:00:00+00:00")  # the very instant of the last run's end
    put(shop, 15, "eve", "Kiel", "2026-01-03 09:55:00+00:00")  # committed late, within the overlap
    found = {event.identifiers[0].value: event for event in shop.run()}
    assert set(found) == {"11", "14", "15"}
    assert found["11"].traits["city"] == "Bonn"
    assert found["11"].message_id != first[0].message_id
    put(shop, 14, "dora", "Bonn", "2026-01-03 10:00:00+00:00")  # changed, and its cursor is as it was
    assert users(shop.run()) == []  # out of the overlap by now
    put(shop, 11, "ada", "Kiel", "2026-01-04 10:00:00+00:00")
    assert [event.traits["city"] for event in shop.run()] == ["Kiel"]


def test_the_boundary_is_read_again_without_an_overlap(shop: Shop) -> None:
    shop.declare(CONTACTS.replace(", overlap: 10 minutes", ""))
    shop.run()
    put(shop, 14, "dora", "Kiel", "2026-01-03 10:00:00+00:00")  # the very instant of the last run's end
    put(shop, 15, "eve", "Kiel", "2026-01-03 09:59:00+00:00")
    assert users(shop.run()) == ["14"]
    assert shop.run() == []


def test_a_row_without_a_cursor_value_is_read_every_time(shop: Shop) -> None:
    shop.declare(CONTACTS)
    shop.run()
    put(shop, 19, "zoe", "Ulm", None)
    assert users(shop.run()) == ["19"]
    assert shop.run() == []
    put(shop, 19, "zoe", "Bonn", None)
    assert users(shop.run()) == ["19"]


def test_a_soft_delete_suppresses_the_address(shop: Shop) -> None:
    shop.declare(CONTACTS + "deletes: {column: deleted_at, then: suppress}\n")
    shop.run()
    at = "2026-01-05 00:00:00+00:00"
    shop.sql("UPDATE contacts SET deleted_at = :at, updated_at = :at WHERE id = 12", at=at)
    assert shop.run() == []
    assert shop.suppressed("ada@shop.test", "bob@shop.test") == {"bob@shop.test": "deleted in crm"}
    assert "1 deleted" in str(shop.outcome)
    assert shop.run() == []
    assert str(shop.outcome) == "1 row read, 0 taken", "it is deleted once"
    at = "2026-01-06 00:00:00+00:00"
    shop.sql("UPDATE contacts SET deleted_at = NULL, updated_at = :at WHERE id = 12", at=at)
    assert users(shop.run()) == ["12"]
    shop.sql("UPDATE contacts SET deleted_at = :at WHERE id = 12", at=at)
    shop.run()
    assert shop.outcome.n_deleted == 1


def test_rows_without_a_key_are_known_by_what_they_say(shop: Shop) -> None:
    shop.declare(CONTACTS.replace("key: id\n", "") + "deletes: {column: deleted_at, then: unset}\n")
    assert len(shop.run()) == 3
    assert shop.run() == []
    shop.sql("UPDATE contacts SET deleted_at = updated_at WHERE id = 13")
    assert users(shop.run()) == ["13"]
    assert shop.outcome.n_deleted == 1
    assert shop.run() == []


def test_of_a_cursors_rows_only_those_of_the_newest_run_are_kept(shop: Shop) -> None:
    shop.declare(CONTACTS)
    shop.run()
    shop.run()
    with opened(shop.folder) as there:
        (path,) = (there.settings.data_folder / "imports").glob("*.keys")
        assert len(KeyTable(path)) == 1


@pytest.mark.parametrize("cursor", [True, False])
def test_rows_that_are_gone_lose_their_traits(shop: Shop, cursor: bool) -> None:
    text = CONTACTS if cursor else CONTACTS.partition("cursor:")[0]
    shop.declare(text + "deletes: {compare: true, then: unset}\n")
    shop.run()
    shop.sql("DELETE FROM contacts WHERE id = 12")
    (gone,) = [event for event in shop.run() if event.identifiers[0].value == "12"]
    assert gone.traits == {"city": None, "email": None}
    assert [one.kind for one in gone.identifiers] == ["user_id"]
    assert "12" not in users(shop.run())
    put(shop, 12, "bob", "Ulm", "2026-01-06 10:00:00+00:00")  # back, as it was
    (back,) = [event for event in shop.run() if event.identifiers[0].value == "12"]
    assert back.traits["city"] == "Ulm"


def test_without_a_cursor_only_changed_rows_are_sent(shop: Shop) -> None:
    shop.declare(CONTACTS.partition("cursor:")[0])
    assert len(shop.run()) == 3
    assert shop.run() == []
    put(shop, 11, "ada", "Bonn", "2026-01-01 10:00:00+00:00")
    (changed,) = shop.run()
    put(shop, 11, "ada", "Ulm", "2026-01-01 10:00:00+00:00")  # back to what it said first: told again
    (back,) = shop.run()
    assert [event.traits["city"] for event in (changed, back)] == ["Bonn", "Ulm"]
    shop.sql("UPDATE contacts SET note = 'y'")  # a column that is not read
    assert shop.run() == []


def test_an_empty_table_deletes_nobody(shop: Shop) -> None:
    shop.declare(CONTACTS.partition("cursor:")[0] + "deletes: {compare: true, then: event, event: Contact Deleted}\n")
    shop.run()
    shop.sql("DELETE FROM contacts WHERE id = 12")
    (gone,) = shop.run()
    assert (gone.name, gone.properties) == ("Contact Deleted", {"key": "12"})
    shop.sql("DELETE FROM contacts")
    with pytest.raises(MailwrightError, match="found no row where there were 2"):
        shop.run()


def test_items_that_are_gone_get_facts(shop: Shop) -> None:
    shop.sql("CREATE TABLE products (sku text PRIMARY KEY, name text, price numeric(8, 2))")
    shop.sql("INSERT INTO products VALUES ('p1', 'Syrup', 7.5), ('p2', 'Mix', 3)")
    shop.declare(
        "title: Products\nas: items\ncatalog: products\nkey: sku\n"
        "sql: {url_from: CRM_URL, query: 'SELECT sku, name, price FROM products WHERE price > 1'}\n"
        "columns: {sku: item_id, name: facts.title, price: facts.price}\n"
        "deletes: {compare: true, then: facts, facts: {price: 0}}\n"
    )
    first = shop.run()
    assert [(item.item_id, item.facts) for item in first] == [
        ("p1", {"title": "Syrup", "price": 7.5}),
        ("p2", {"title": "Mix", "price": 3}),
    ]
    assert shop.run() == []
    shop.sql("DELETE FROM products WHERE sku = 'p1'")
    (gone,) = shop.run()
    assert (gone.item_id, gone.facts) == ("p1", {"title": "Syrup", "price": 0})
    assert shop.run() == []


def test_a_row_with_a_fault_stops_the_run_and_deletes_nobody(shop: Shop) -> None:
    text = CONTACTS.partition("cursor:")[0] + "deletes: {compare: true, then: suppress}\n"
    shop.declare(text)
    shop.run()
    put(shop, 12, "no address", "Ulm", "2026-01-01 10:00:00+00:00")
    with pytest.raises(InvalidInput, match=r"contacts: row \d, traits\.email: what was sent is no e-mail address"):
        shop.run()
    shop.declare(text + "skip_bad: true\n")
    shop.run()
    assert shop.suppressed("bob@shop.test") == {}


WRONG = {
    "a table": (("table: contacts", "table: contcts"), "there is no table 'contcts'.*did you mean 'contacts'"),
    "a column": (("city: traits", "ciy: traits"), "has no column 'ciy'.*did you mean 'city'"),
    "a query": (("table: contacts", "query: SELEC id"), "the database says"),
    "a variable": (("CRM_URL", "CRM_URI"), "the environment variable CRM_URI is not set"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told(shop: Shop, name: str) -> None:
    (old, new), words = WRONG[name]
    shop.declare(CONTACTS.replace(old, new))
    with pytest.raises(MailwrightError, match=f"(?s){words}"):
        shop.run()


def test_a_row_that_cannot_be_mapped_is_not_gone(shop: Shop) -> None:
    shop.sql("UPDATE contacts SET note = NULL")
    shop.declare(
        CONTACTS.partition("cursor:")[0].replace("city: traits.city", "note: {to: traits.n, type: number}")
        + "deletes: {compare: true, then: suppress}\nskip_bad: true\n"
    )
    shop.run()
    put(shop, 12, "bob", "Ulm", "2026-01-01 10:00:00+00:00")  # its note, x, is no number
    shop.run()
    assert "1 fault left out" in str(shop.outcome)
    assert shop.suppressed("bob@shop.test") == {}


def test_a_database_file_that_is_not_there_is_told_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in (f"sqlite:///{tmp_path}/typo.db", f"sqlite+pysqlite:///{tmp_path}/typo.db"):
        shop = Shop(tmp_path / "shop", url, monkeypatch)
        shop.declare(CONTACTS)
        with pytest.raises(Transient, match="there is no such SQLite file"):
            shop.run()
        assert not (tmp_path / "typo.db").exists()


def test_no_url_is_ever_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(tmp_path / "shop", "sqlite://", monkeypatch)
    shop.declare(CONTACTS)
    for url in ("postgresql+psycopg://u:hunter2@127.0.0.1:1/x", "nonsense hunter2", "nosuch+driver://u:hunter2@h/x"):
        monkeypatch.setenv("CRM_URL", url)
        with pytest.raises(MailwrightError) as caught:
            shop.run()
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "overlap", "start"),
    [
        (datetime(2026, 1, 1, 10, tzinfo=UTC), "1 hour", datetime(2026, 1, 1, 9, tzinfo=UTC)),
        (datetime(2026, 1, 1, 10), "1 hour", datetime(2026, 1, 1, 9)),
        (41, 5, 36),
        (41, 0, 41),
        ("2026-01-01 10:00:00", "1 hour", "2026-01-01 09:00:00"),
        ("2026-01-01T10:00:00.500Z", "1 hour", "2026-01-01T09:00:00.500Z"),
        ("k7", "1 hour", "k7"),
    ],
)
def test_a_run_reads_on_before_the_greatest_value(value: object, overlap: str | float, start: object) -> None:
    from mailwright.ingest.imports import CursorColumn

    assert cursor_start(cursor_text(value), CursorColumn(column="x", overlap=overlap)) == start


def test_a_run_is_remembered(shop: Shop) -> None:
    shop.declare(CONTACTS)
    shop.run()
    with opened(shop.folder) as there:
        state = read_state(there.records.meta, "crm")
    assert (state.n_run, state.n_rows, state.n_things) == (1, 3, 3)
    assert state.cursor is not None
    assert state.cursor[1].startswith("2026-01-03")


def test_a_run_that_ends_before_it_forgets_its_cursor_loses_nothing_of_the_next(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spool is delivered and removed, and then the process dies."""

    def die(_: Delivery) -> None:
        raise Transient("test.died", "it died")

    shop.declare(CONTACTS.partition("cursor:")[0])
    with monkeypatch.context() as dying:
        dying.setattr(Delivery, "forget", die)
        with pytest.raises(Transient):
            shop.run()
    put(shop, 12, "bob", "Bonn", "2026-01-04 10:00:00+00:00")
    assert users(shop.run()) == ["12"]


def test_the_newest_row_may_be_the_one_that_is_gone(shop: Shop) -> None:
    """Nothing newer is read then; the table is not empty for that."""
    shop.declare(CONTACTS.replace(", overlap: 10 minutes", "") + "deletes: {compare: true, then: suppress}\n")
    shop.run()
    shop.sql("DELETE FROM contacts WHERE id = 13")
    shop.run()
    assert shop.suppressed("ada@shop.test", "cem@shop.test") == {"cem@shop.test": "deleted in crm"}
    shop.sql("DELETE FROM contacts")
    with pytest.raises(MailwrightError, match="found no row where there were 2"):
        shop.run()


PLACES = """\
title: Places
as: identify
sql: {url_from: CRM_URL, table: places}
columns: {code: userId, at: traits.at}
key: code
cursor: {column: at}
deletes: {compare: true, then: unset}
"""


def test_a_row_without_a_key_is_a_bad_row_where_the_keys_alone_are_read(shop: Shop) -> None:
    shop.sql("CREATE TABLE places (code text, at integer)")
    for code, at in (("a", 1), ("b", 2)):
        shop.sql("INSERT INTO places VALUES (:code, :at)", code=code, at=at)
    shop.declare(PLACES + "skip_bad: true\n", "places")
    assert users(shop.run("places")) == ["a", "b"]
    shop.sql("INSERT INTO places VALUES (NULL, 0)")  # before the cursor
    shop.sql("INSERT INTO places VALUES (NULL, 3)")
    shop.sql("DELETE FROM places WHERE code = 'a'")
    shop.sql("INSERT INTO places VALUES ('c', 4)")
    assert users(shop.run("places")) == ["c"], "and nobody is gone as long as not every key is known"
    assert (shop.outcome.found.n_faults, shop.outcome.n_deleted) == (2, 0)
    shop.sql("DELETE FROM places WHERE code IS NULL")
    assert users(shop.run("places")) == ["a"]
    shop.sql("INSERT INTO places VALUES (NULL, 0)")
    shop.declare(PLACES + "skip_bad: false\n", "places")
    shop.run_fails("places", "the key \\(code\\) is empty")


def test_a_soft_deleted_row_may_be_empty_else(shop: Shop) -> None:
    cursor, deletes = "cursor: {column: updated_at, overlap: 10 minutes}", "deletes: {column: deleted_at, then: unset}"
    shop.declare(CONTACTS.replace(cursor, deletes).replace("traits.city", "{to: traits.city, type: number}"))
    shop.sql("UPDATE contacts SET city = '1'")
    shop.run()
    shop.sql("UPDATE contacts SET city = 'no number', deleted_at = updated_at WHERE id = 11")
    assert users(shop.run()) == ["11"]
    assert shop.outcome.n_deleted == 1


@pytest.mark.parametrize("known", [True, False])
def test_a_row_that_the_door_refused_is_tried_again(shop: Shop, known: bool) -> None:
    shop.declare(CONTACTS.partition("cursor:")[0] + "deletes: {compare: true, then: suppress}\nskip_bad: true\n")
    if known:
        shop.run()
    put(shop, 12, "no address", "Bonn", "2026-01-01 10:00:00+00:00")
    assert users(shop.run()) == ([] if known else ["11", "13"])
    for _ in range(2):
        assert shop.run() == []
        assert "1 fault left out" in str(shop.outcome)
    shop.sql("DELETE FROM contacts WHERE id = 12")
    shop.run()
    assert shop.suppressed("bob@shop.test") == ({"bob@shop.test": "deleted in crm"} if known else {})


@pytest.mark.parametrize("before", ["", "deletes: {compare: true, then: suppress}\n"])
def test_what_deleted_rows_mean_can_be_declared_later(shop: Shop, before: str) -> None:
    text = CONTACTS.replace(", overlap: 10 minutes", "")
    shop.declare(text + before)
    shop.run()
    shop.declare(text + "deletes: {compare: true, then: unset}\n")
    shop.sql("DELETE FROM contacts WHERE id = 11")  # of it nothing is known that could be unset
    assert "11" not in users(shop.run())
    assert shop.run() == []
    shop.sql("DELETE FROM contacts WHERE id = 12")
    (gone,) = shop.run()
    assert (users([gone]), gone.traits["city"]) == (["12"], None)


@pytest.mark.parametrize("how", ["column: deleted_at", "compare: true"])
@pytest.mark.parametrize("cursor", [True, False])
def test_a_row_without_an_address_has_none_to_suppress(shop: Shop, how: str, cursor: bool) -> None:
    text = CONTACTS if cursor else CONTACTS.partition("cursor:")[0]
    shop.declare(text + f"deletes: {{{how}, then: suppress}}\n")
    shop.sql("UPDATE contacts SET mail = NULL")
    shop.run()
    at = "2026-01-04 00:00:00+00:00"
    if "column" in how:
        shop.sql("UPDATE contacts SET deleted_at = :at, updated_at = :at WHERE id = 12", at=at)
    else:
        shop.sql("DELETE FROM contacts WHERE id = 12")
    assert shop.run() == []
    assert (shop.outcome.found.n_faults, shop.outcome.n_deleted) == (0, 0)


def test_within_the_overlap_a_row_that_the_door_refused_is_tried_again(shop: Shop) -> None:
    shop.declare(CONTACTS + "skip_bad: true\n")
    put(shop, 13, "no address", "Ulm", "2026-01-03 10:00:00+00:00")
    assert users(shop.run()) == ["11", "12"]
    assert shop.run() == []
    assert "1 fault left out" in str(shop.outcome)
