"""What runs by schedule, and services outside, as the API and the page Sources tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from seeded_shop import Shop
from visitors import client_of, sign_in

from mailwright.core.fetching import ServiceHealth
from mailwright.core.instants import parse_iso
from mailwright.runtime.imports.jobs import import_jobs
from mailwright.runtime.imports.state import ImportState, write_state
from mailwright.runtime.installation import SERVICE, open_installation
from mailwright.runtime.jobs.job import Job
from mailwright.runtime.jobs.runs import Begun, JobRun, asked_for
from mailwright.runtime.lookups import lookup_jobs
from mailwright.runtime.project.load import load_project
from mailwright.runtime.project.versions import apply, plan
from mailwright.runtime.settings import load_settings
from mailwright.web.serve import web_context

KEY = {"Authorization": "Bearer sk_server"}
FILES = {
    "segments.yaml": "everyone: {title: Everyone, rule: count of 'None Such' >= 0}\n",
    "imports/orders.yaml": (
        "title: Orders <till>\nfile: drop/*.csv\nas: track\nevent: Paid\ncolumns: {user: userId}\nevery: 1 hour\n"
    ),
    "imports/once.yaml": "title: Old people\nfile: people.csv\nas: identify\ncolumns: {user: userId}\n",
    "lookups/it.yaml": "preset: clearbit\nsegment: everyone\n",
    "lookups/ok.yaml": "preset: clearbit\nsegment: everyone\n",
}
AT = parse_iso("2026-11-22T08:00:00Z")
LATER = parse_iso("2026-11-22T09:00:00Z")


def told(shop: Shop) -> dict[str, Job]:
    project = load_project(FILES)
    settings: Any = SimpleNamespace()  # neither looks at them
    found = {job.name: job for job in [*import_jobs(project, settings), *lookup_jobs(project, settings)]}
    view = replace(shop.context.project, imports=project.imports, lookups=project.lookups)  # type: ignore[type-var]
    shop.context = replace(shop.context, project=view, jobs=lambda: found)
    return found


def test_imports_tell_when_they_run_and_what_the_newest_run_brought(fresh_shop: Shop) -> None:
    told(fresh_shop)
    meta = fresh_shop.records.meta
    state = ImportState(n_run=2, ran_at=AT, n_rows=1200, n_things=1190, n_deleted=3, n_faults=6, n_passed_over=4)
    write_state(meta, "orders", msgspec.json.encode(state).decode())
    client = client_of(fresh_shop)
    orders, once = sorted(
        client.get("/v1/imports", headers=KEY).json()["imports"], key=lambda one: one["name"], reverse=True
    )
    assert orders == {
        "name": "orders",
        "title": "Orders <till>",
        "from": "file",
        "schedule": "every hour",
        "ran_at": "2026-11-22T08:00:00Z",
        "rows": 1200,
        "taken": 1190,
        "held": 0,
        "passed_over": 4,
        "deleted": 3,
        "faults": 6,
        "error": "",
    }
    assert (once["schedule"], once["ran_at"], once["rows"]) == (None, None, 0)
    run = JobRun(planned_at=LATER, started_at=LATER, ended_at=LATER, error="the folder is gone", failures=1)
    meta.put("job.import:orders", msgspec.json.encode(run).decode())
    assert "the folder is gone" in client.get("/v1/imports", headers=KEY).text
    sign_in(client, fresh_shop)
    page = client.get("/sources").text
    for shown in (
        "Orders &lt;till&gt;",
        "1,190",
        "Passed over",
        "by hand",
        "every hour",
        "never",
        "the folder is gone",
    ):
        assert shown in page


def test_without_imports_the_page_has_no_section_of_them(fresh_shop: Shop) -> None:
    client = client_of(fresh_shop)
    sign_in(client, fresh_shop)
    assert 'aria-label="Imports"' not in client.get("/sources").text
    assert client.get("/v1/imports", headers=KEY).json() == {"imports": []}


def test_jobs_tell_their_schedule_and_their_newest_run(fresh_shop: Shop) -> None:
    found = told(fresh_shop)
    run = JobRun(planned_at=AT, started_at=AT, ended_at=LATER, said="12 rows", error="broken off", failures=2)
    fresh_shop.records.meta.put("job.import:orders", msgspec.json.encode(run).decode())
    listed = {one["name"]: one for one in client_of(fresh_shop).get("/v1/jobs", headers=KEY).json()["jobs"]}
    assert list(listed) == list(found)
    assert listed["lookup:it"]["newest_run"] is None
    assert listed["import:orders"]["schedule"] == "every hour"
    assert listed["import:orders"]["newest_run"] == {
        "planned_at": "2026-11-22T08:00:00Z",
        "started_at": "2026-11-22T08:00:00Z",
        "ended_at": "2026-11-22T09:00:00Z",
        "said": "12 rows",
        "error": "broken off",
        "failures": 2,
        "by": "",
    }
    assert listed["import:orders"]["next_at"] == "2017-12-28T14:00:00Z"


def test_a_job_is_run_by_asking_the_worker(fresh_shop: Shop) -> None:
    found = told(fresh_shop)
    client, meta = client_of(fresh_shop), fresh_shop.records.meta
    answer = client.post("/v1/jobs/import:orders/run", headers=KEY)
    assert (answer.status_code, answer.json()) == (202, {"name": "import:orders", "asked_by": "key of till"})
    assert asked_for(meta, "import:orders") is not None
    listed = {one["name"]: one for one in client.get("/v1/jobs", headers=KEY).json()["jobs"]}
    assert {name: one["asked_by"] for name, one in listed.items()} == dict.fromkeys(found) | {
        "import:orders": "key of till"
    }
    assert client.post("/v1/jobs/import:none/run", headers=KEY).json()["error"]["code"] == "job.unknown"
    assert client.post("/v1/jobs/lookup:it/run").status_code == 401
    pixel = {"Authorization": "Bearer pk_browser"}
    assert client.post("/v1/jobs/lookup:it/run", headers=pixel).status_code == 401
    assert asked_for(meta, "lookup:it") is None


def test_the_page_tells_of_each_job_and_runs_it_only_for_its_own_forms(fresh_shop: Shop) -> None:
    told(fresh_shop)
    client, meta = client_of(fresh_shop), fresh_shop.records.meta
    run = JobRun(
        planned_at=AT, started_at=AT, ended_at=LATER, said="12 <rows>", error="broken off", failures=2, by="ada"
    )
    meta.put("job.import:orders", msgspec.json.encode(run).decode())
    begun = Begun(id="b", planned_at=LATER, started_at=LATER)
    meta.put("job-begun.lookup:it", msgspec.json.encode(begun).decode())
    csrf = sign_in(client, fresh_shop)
    page = client.get("/jobs").text
    for shown in ("Orders &lt;till&gt;", "every hour", "12 &lt;rows&gt;", "broken off", "2 times in a row", "1 hour"):
        assert shown in page
    assert "asked for by ada" in page
    assert "not ended yet" in page
    there = {"Sec-Fetch-Site": "same-origin"}
    assert client.post("/jobs/import:orders/run", headers=there).status_code == 403
    assert client.post("/jobs/import:orders/run", data={"csrf": csrf}).status_code == 403
    assert asked_for(meta, "import:orders") is None
    assert client.post("/jobs/import:orders/run", headers=there, data={"csrf": csrf}).status_code == 303
    assert "waits for the worker" in client.get("/jobs/rows").text
    assert client.post("/jobs/none/run", headers=there, data={"csrf": csrf}).status_code == 404


def test_the_status_names_lookups_that_do_not_do_well(fresh_shop: Shop) -> None:
    told(fresh_shop)
    client, meta = client_of(fresh_shop), fresh_shop.records.meta
    assert client.get("/v1/status", headers=KEY).json()["lookups"] == []
    health = ServiceHealth(service="lookup:it", state="paused", failures=5, until=LATER, why="it answered 500")
    meta.put(f"{SERVICE}lookup:it", msgspec.json.encode(health).decode())
    assert client.get("/v1/status", headers=KEY).json()["lookups"] == [
        {"name": "it", "state": "paused", "failures": 5, "until": "2026-11-22T09:00:00Z", "why": "it answered 500"}
    ]


def test_a_key_is_needed(fresh_shop: Shop) -> None:
    client = client_of(fresh_shop)
    assert {client.get(path).status_code for path in ("/v1/imports", "/v1/jobs", "/v1/status")} == {401}


def test_the_door_knows_the_jobs_of_what_is_in_force(tmp_path: Path) -> None:
    (tmp_path / "mailwright.toml").write_text('[project]\nname = "Shop"\n')
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    there = open_installation(load_settings(tmp_path))
    try:
        apply(there, plan(there))
        context = web_context(there, "http://localhost")
        assert {"import:orders", "lookup:it", "sources"} <= context.jobs().keys()
        assert list(context.project.imports) == ["once", "orders"]
    finally:
        there.close()
