import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from mailwright.core.errors import Corrupt, Permanent
from mailwright.core.sources import Quarantined
from mailwright.stores.migrations import FOLDER, HEAD
from mailwright.stores.records.database import Database
from mailwright.stores.records.schema import tables
from mailwright.stores.records_sql import SqlRecords


def test_the_migrations_end_in_the_shape_that_the_code_uses(tmp_path):
    SqlRecords.open(tmp_path / "records.sqlite").close()
    database = Database(tmp_path / "records.sqlite")
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables) == []
        made = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
    database.close()
    assert all("AUTOINCREMENT" in dict(made)[name] for name in ("outbox", "quarantined"))


def test_what_is_held_stays_with_its_number_when_numbers_no_longer_come_again(tmp_path):
    path = tmp_path / "records.sqlite"
    database = Database(path)
    with database.write() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(FOLDER))
        command.upgrade(config, "0010")
        known = sa.Table("quarantined", sa.MetaData(), autoload_with=connection)
        row = {column.name: b"[]" if column.name in ("reasons", "body") else 0 for column in known.columns}
        rows = [row | {"id": n, "message_id": str(n)} for n in (3, 8)]
        connection.execute(sa.insert(known), rows)
    with SqlRecords.open(path) as records:
        with database.read() as connection:
            found = connection.execute(sa.select(known).order_by(known.c.id)).mappings().all()
        assert [{**one} for one in found] == [{**one, "source": "0", "source_kind": "0", "event": "0"} for one in rows]
        assert records.quarantine.forget(1) == 2
        item = Quarantined(
            source="0", message_id="3", source_kind="server", event="x", received_at=1, reasons=[], body="{}"
        )
        assert records.quarantine.hold([item, item], 9) == 1  # once, as before
        assert records.quarantine.get(9).message_id == "3"
    database.close()


def test_head_names_the_newest_migration():
    script = ScriptDirectory(str(FOLDER))
    assert script.get_heads() == [HEAD]


def test_a_database_of_a_newer_mailwright_is_refused(tmp_path):
    path = tmp_path / "records.sqlite"
    SqlRecords.open(path).close()
    database = Database(path)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(Permanent, match="schema 9999, made by a newer Mailwright"):
        SqlRecords.open(path)


def test_a_file_that_is_no_database_is_corrupt(tmp_path):
    path = tmp_path / "records.sqlite"
    path.write_bytes(b"these are not the bytes of a database" * 100)
    with pytest.raises(Corrupt):
        SqlRecords.open(path)


OPENS = """
import sys
from pathlib import Path
from mailwright.stores.records_sql import SqlRecords
print("ready", flush=True)
sys.stdin.readline()
for n in range(20):
    with SqlRecords.open(Path(sys.argv[1]) / str(n) / "records.sqlite") as records:
        records.meta.put(sys.argv[2], "was here")
"""


def test_processes_may_make_the_database_at_once(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", OPENS, tmp_path, str(n)], **pipes) for n in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=240)
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    for n in range(20):
        with SqlRecords.open(tmp_path / str(n) / "records.sqlite") as records:
            assert [records.meta.get(str(k)) for k in range(4)] == ["was here"] * 4
