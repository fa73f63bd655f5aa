"""``mailwright jobs`` and ``mailwright run``, and the worker that ``serve`` starts."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.running_project import done, mailwright, make_project


def test_without_jobs_the_list_says_so_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    shop = make_project(tmp_path / "shop")
    listed = done("jobs", "--project", str(shop))
    assert "No job is defined" in listed or "newest run" in listed
    refused = mailwright("run", "no-such-job", "--project", str(shop))
    assert refused.returncode == 3
    assert "there is no job 'no-such-job'" in refused.stderr
