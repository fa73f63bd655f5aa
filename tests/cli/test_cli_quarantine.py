"""Commands for keys and for what the tracking plan held back."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mailwright.core.events import Events
from mailwright.ingest.hooks import IngestRules
from mailwright.ingest.plan import EventPlan, TrackingPlan
from mailwright.ingest.segment import Source, parse_request
from mailwright.runtime.installation import open_installation
from mailwright.runtime.project.versions import apply, plan
from mailwright.runtime.quarantine import Came, Quarantine
from mailwright.runtime.settings import load_settings

sys.path[:0] = [str(Path(__file__).parent.parent / "scenarios")]

from running_project import SETTINGS, done, make_project  # noqa: E402

PLAN = "events:\n  Paid:\n    properties: {total: number}\n    violation: quarantine\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with one held event."""
    made = make_project(tmp_path / "shop", SETTINGS)
    (made / "tracking-plan.yaml").write_text(PLAN)
    there = open_installation(load_settings(made))
    try:
        apply(there, plan(there))
        declared = TrackingPlan(events={"Paid": EventPlan(properties={"total": "number"}, violation="quarantine")})
        body = {"event": "Paid", "userId": "u1", "messageId": "m1", "properties": {"total": "12"}}
        now, source = there.clock.now(), Source("till")
        parsed = parse_request(
            "track",
            json.dumps(body).encode(),
            IngestRules(sealer=there.sealer, plan=declared),
            source=source,
            received_at=now,
            new_id=lambda: "",
            keeps_held=True,
        )
        held = Quarantine(there.records, there.sealer, there.clock, there.log)
        assert held.kept(Came(source=source, received_at=now), parsed) == parsed
    finally:
        there.close()
    return made


def run(folder: Path, *words: str) -> str:
    return done(*words, "--project", str(folder))


def test_held_events_are_listed_mended_and_replayed(folder: Path) -> None:
    assert "it is no number" in run(folder, "quarantine", "list")
    assert '"total": "12"' in run(folder, "quarantine", "show", "1")
    assert "0 taken, 1 still held" in run(folder, "quarantine", "replay", "1")
    patch = '[{"op": "cast", "field": "properties.total", "to": "number"}]'
    assert "1 mended" in run(folder, "quarantine", "mend", patch, "--event", "Paid")
    assert "1 taken, 0 still held" in run(folder, "quarantine", "replay", "--source", "till")
    there = open_installation(load_settings(folder))
    try:
        bodies = [record.body for record in there.log.read(0, 100)]
        (event,) = [event for body in bodies if isinstance(body, Events) for event in body.events]
        assert (event.message_id, event.properties) == ("m1", {"total": 12})
    finally:
        there.close()


def test_keys_are_made_listed_and_revoked(folder: Path) -> None:
    assert run(folder, "create-key", "till").startswith("sk_")
    assert "client_secret" in run(folder, "create-key", "erp", "--oauth")
    listed = run(folder, "keys")
    assert "erp" in listed
    key = next(line.split()[0] for line in listed.splitlines() if " till " in line)
    assert "counts no more" in run(folder, "revoke-key", key)
    there = open_installation(load_settings(folder))
    try:
        revoked = [one.name for one in there.records.sources.all_keys() if one.revoked_at]
        assert revoked == ["till"]
    finally:
        there.close()
