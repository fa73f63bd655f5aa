"""A CRM in PostgreSQL is followed by the whole program: changed and deleted rows today, and as of yesterday the old."""

import json
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "servers")]

from postgres import Postgres, postgres  # noqa: E402, F401
from running_project import Shop, done, mailwright, make_project, opened, serving  # noqa: E402

from mailwright.runtime.project.versions import apply, plan  # noqa: E402

CRM = """\
title: Contacts of the CRM
as: identify
sql: {url_from: CRM_URL, table: contacts}
columns: {id: userId, mail: traits.email, city: traits.city}
key: id
cursor: {column: updated_at}
deletes: {compare: true, then: unset}
"""
SEGMENT = "in_ulm:\n  title: People in Ulm\n  rule: trait city = 'Ulm'\n"
MONDAY, TUESDAY = "2026-11-02T09:00:00Z", "2026-11-03T09:00:00Z"


@pytest.mark.slow
def test_changed_and_deleted_rows_follow_and_yesterday_stays(
    tmp_path: Path,
    postgres: Postgres,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = postgres.database()
    monkeypatch.setenv("CRM_URL", url)
    database = sa.create_engine(url, poolclass=sa.NullPool)
    folder = make_project(tmp_path / "shop")
    (folder / "imports").mkdir()
    (folder / "imports" / "crm.yaml").write_text(CRM)
    (folder / "segments.yaml").write_text((folder / "segments.yaml").read_text() + SEGMENT)
    with database.begin() as there:
        there.execute(sa.text("CREATE TABLE contacts (id text, mail text, city text, updated_at timestamptz)"))
        for name in ("ada", "bob", "cem"):
            row = {"id": name, "mail": f"{name}@maple.example"}
            there.execute(sa.text("INSERT INTO contacts VALUES (:id, :mail, 'Ulm', '2026-11-01T00:00:00Z')"), row)
    at = ("--project", str(folder))
    with opened(folder) as there:
        apply(there, plan(there))
    with serving(folder) as served, opened(folder) as there:
        here = Shop(there, served)
        assert "3 rows read, 3 taken" in done("import", "crm", *at)
        here.tick(MONDAY)
        with database.begin() as changed:
            changed.execute(
                sa.text("UPDATE contacts SET city = 'Bonn', updated_at = '2026-11-02T12:00:00Z' WHERE id = 'ada'")
            )
            changed.execute(sa.text("DELETE FROM contacts WHERE id = 'bob'"))
        here.move_clock("2026-11-03T08:00:00Z")
        assert "1 deleted" in done("import", "crm", *at)
        here.tick(TUESDAY)
        assert members(folder) == ["user_id:cem"]
        assert "email" not in traits(folder, "bob"), "mail goes to this trait"
        assert {"email", "city"} <= traits(folder, "cem")
        assert members(folder, "--as-of", MONDAY) == ["user_id:ada", "user_id:bob", "user_id:cem"]
        done("import", "crm", *at)
        monkeypatch.setenv("CRM_URL", url.replace(str(postgres.port), "1"))
        away = mailwright("import", "crm", *at)
        assert (away.returncode, "the database says" in away.stderr) == (5, True)


def members(folder: Path, *args: str) -> list[str]:
    told = json.loads(done("segment", "in_ulm", *args, "--json", "--project", str(folder)))
    return sorted(member["identifier"] for member in told["members"])


def traits(folder: Path, name: str) -> set[str]:
    told = json.loads(done("person", f"user_id:{name}", "--json", "--project", str(folder)))
    return {trait for trait, known in told["traits"].items() if known and known.get("value") is not None}
