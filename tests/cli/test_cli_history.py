"""History by the command line."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.scenarios.running_project import Shop, done, mailwright, make_project, opened, order, serving

pytestmark = pytest.mark.slow


def test_sql_views_versions_changes_and_export(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "shop")
    project = ("--project", str(folder))
    with opened(folder) as there, serving(folder) as served:
        shop = Shop(there, served)
        shop.batch([order("ada", 1, 12.5), order("bob", 2, 7.5)])
        shop.tick("2026-11-02T09:00:00Z")
        shop.tick("2026-11-03T09:00:00Z")
        shop.batch([order("ada", 3, 100)])
        shop.tick("2026-11-03T10:00:00Z")
        there.engine.flush_history()
    as_of = ("--as-of", "2026-11-02")
    told = done("history", "sql", "SELECT sum(total) AS spent FROM orders", "--csv", *project)
    assert told.split() == ["spent", "120.0"]
    told = done("history", "sql", "SELECT sum(total) AS spent FROM orders", "--csv", *as_of, *project)
    assert told.split() == ["spent", "20.0"]
    assert "bob-2" in done("history", "sql", "SELECT * FROM order_lines", *project)
    assert mailwright("history", "sql", "DROP TABLE events", *project).returncode == 2
    assert "get_json_object" in done("history", "views", "--dialect", "spark").lower()
    assert mailwright("history", "views", "--dialect", "oracle").returncode == 2
    assert "WRITE" in done("history", "versions", "events", *project)
    assert "insert" in done("history", "changes", "events", "--from", "0", "--csv", *project)
    assert "2 rows" in done("export-views", "--to", str(tmp_path / "bi"), "--view", "orders", *as_of, *project)
    assert sorted(pq.read_table(tmp_path / "bi" / "orders.parquet")["total"].to_pylist()) == [7.5, 12.5]
    assert mailwright("export-views", "--to", str(tmp_path / "bi"), "--format", "xls", *project).returncode == 2
    narrow = mailwright("history", "changes", "events", "--from", "0", *project, env={"COLUMNS": "60"}).stdout
    assert "message_id: order-bob-2" in narrow
    unknown = mailwright("history", "sql", "SELECT * FROM order_line", *project).stderr
    assert "there is no table or view 'order_line'" in unknown
    assert "did you mean 'order_lines'?" in unknown
    assert served.base_url in done("login", *project)
