"""Upkeep of History by jobs, while events come in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.running_project import SETTINGS, Shop, done, make_project, opened, order, serving

pytestmark = pytest.mark.slow


def test_jobs_join_and_sweep_while_the_shop_is_open(tmp_path: Path) -> None:
    shop_folder = make_project(tmp_path / "shop", SETTINGS + "\n[engine]\nhistory_s = 1\n[history]\nkeep_days = 3650\n")
    project = ("--project", str(shop_folder))
    assert {"history:compact", "history:vacuum", "history:retention"} <= set(done("jobs", *project).split())
    with opened(shop_folder) as there, serving(shop_folder) as served:
        shop = Shop(there, served)
        for number in range(10):
            shop.batch([order(f"p{number}", number)])
            shop.tick(f"2026-11-02T09:{number:02}:00Z")
            there.engine.flush_history()
        before = there.history.query("SELECT count(*) AS n FROM events")["n"].to_pylist()
        assert len(there.history.files("events")) >= 8
        assert "joined" in done("run", "history:compact", *project)
        assert len(there.history.files("events")) < 4
        assert there.history.query("SELECT count(*) AS n FROM events")["n"].to_pylist() == before
        done("run", "history:vacuum", *project)
        done("run", "history:retention", *project)
        shop.batch([order("late", 1)])
        shop.tick("2026-11-02T10:00:00Z")
        there.engine.flush_history()
        assert there.history.query("SELECT count(*) AS n FROM events")["n"].to_pylist() == [before[0] + 1]
