"""Imports pass the tracking plan as the door does: what it holds back waits, what it drops is left out, all counts."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

SCENARIOS = Path(__file__).parent.parent.parent / "scenarios"
sys.path[:0] = [str(SCENARIOS)]

from running_project import SETTINGS, make_project, opened  # noqa: E402

from mailwright.cli.main import app  # noqa: E402
from mailwright.core.errors import InvalidInput  # noqa: E402
from mailwright.core.events import Event, Events  # noqa: E402
from mailwright.core.sources import DayCount, QuarantineFilter, summed  # noqa: E402
from mailwright.ingest.mending import Patch  # noqa: E402
from mailwright.runtime import quarantine  # noqa: E402
from mailwright.runtime.imports import intake  # noqa: E402
from mailwright.runtime.imports.declared import DeclaredImport, Outcome  # noqa: E402
from mailwright.runtime.imports.jobs import import_jobs  # noqa: E402
from mailwright.runtime.imports.state import read_state  # noqa: E402
from mailwright.runtime.jobs.runs import Runner  # noqa: E402
from mailwright.runtime.project.versions import apply, current_project, plan  # noqa: E402
from mailwright.runtime.quarantine import Quarantine  # noqa: E402

PLAN = """\
violation_events: true
events:
  Paid:
    violation: quarantine
    properties: {order: text, total: number, note: text}
    required: [order]
  Seen:
    violation: drop
    properties: {place: number}
  Left:
    properties: {why: text}
"""
PAID = """\
title: Payments
as: track
file: paid.csv
key: id
skip_bad: true
columns:
  id: properties.order
  who: userId
  total: {to: properties.total, type: text}
  what: event
"""
ROWS = "id,who,total,what\n1,u1,5,Left\n2,u2,many,Paid\n3,u3,9,Paid\n4,,9,Left\n,u5,9,Left\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    folder = make_project(tmp_path / "shop", SETTINGS)
    (folder / "imports").mkdir()
    (folder / "imports" / "paid.yaml").write_text(PAID)
    (folder / "tracking-plan.yaml").write_text(PLAN)
    with opened(folder) as there:
        apply(there, plan(there))
    return folder


def run(shop: Path, rows: str = ROWS) -> Outcome:
    (shop / "paid.csv").write_text(rows)
    with opened(shop) as there:
        return DeclaredImport(there, current_project(there)[1], "paid").run()


def events(shop: Path) -> list[Event]:
    with opened(shop) as there:
        bodies = [record.body for record in there.log.read(0, 10_000)]
    return [event for body in bodies if isinstance(body, Events) for event in body.events]


def counts(shop: Path) -> dict[str, tuple[int, ...]]:
    with opened(shop) as there:
        found = summed(there.records.sources.days(0))
    return {f"{one.source} {one.kind}": _figures(one) for one in found}


def _figures(one: DayCount) -> tuple[int, ...]:
    return one.accepted, one.refused, one.held, one.dropped


def test_rows_that_the_plan_holds_back_wait_are_mended_and_let_in_once(shop: Path) -> None:
    outcome = run(shop)
    assert str(outcome) == "5 rows read, 1 taken, 2 held back by the tracking plan, 2 faults left out"
    assert counts(shop) == {"import:paid events": (1, 2, 2, 0)}
    with opened(shop) as there:
        state = read_state(there.records.meta, "paid")
        assert (state.n_things, state.n_held) == (1, 2)
        held = Quarantine(there.records, there.sealer, there.clock, there.log)
        found = sorted(held.find(QuarantineFilter(source="import:paid"), 9), key=lambda one: one.id)
        assert [(one.event, [each.field for each in one.reasons]) for one in found] == [
            ("Paid", ["properties.total"]),
            ("Paid", ["properties.total"]),
        ]
        assert "many" not in found[0].body
        assert {one.kind for one in there.records.sources.violations(0)} == {"type"}
        rules = current_project(there)[1].ingest_rules(there.sealer, there.resolve)
        held.mend([found[1].id], [Patch(op="cast", field="properties.total", to="number")], who="me")
        done = held.replay([one.id for one in found], rules, who="me")
        assert (done.taken, [number for number, _ in done.still]) == ([found[1].id], [found[0].id])
    assert counts(shop)["import:paid events"] == (2, 2, 1, 0)
    told = events(shop)
    assert [(one.name, one.source) for one in told] == [
        ("Left", "import:paid"),
        ("Violation Generated", "mailwright"),
        ("Paid", "import:paid"),
    ]
    assert (told[1].properties["violations"], told[2].properties["total"]) == (2, 9)
    run(shop, ROWS + "6,u6,1,Left\n")  # what is held is known; what was refused is tried again
    assert counts(shop)["import:paid events"] == (3, 4, 1, 0)


def test_a_field_that_the_plan_leaves_out_is_no_fault_of_the_row(shop: Path) -> None:
    path = shop.parent / "seen.csv"
    path.write_text("user_id,place\nu1,1\nu2,there\n")
    asked = ["import", str(path), "--as", "track", "--event", "Seen", "--map", "user_id=userId", "-p", str(shop)]
    told = CliRunner().invoke(app, [*asked, "--map", "place=properties.place:text"])
    assert told.exit_code == 0, told.output
    assert [one.properties for one in events(shop)[:2]] == [{}, {}]
    assert counts(shop) == {"import events": (2, 0, 0, 2)}


def test_one_import_leaves_others_room_in_the_quarantine(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MOST_HELD_AT_ONCE", 1)
    with pytest.raises(InvalidInput, match="holds back 2 rows"):
        run(shop)
    assert (events(shop), counts(shop)) == ([], {})
    with opened(shop) as there:
        assert there.records.quarantine.count() == 0


def test_a_full_quarantine_refuses_its_rows_and_holds_up_nothing_else(
    shop: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(quarantine, "MOST_HELD", 0)
    rows = "id,who,total,what\n" + "".join(f"{n},u{n},1,{'Paid' if n % 3 == 0 else 'Left'}\n" for n in range(900))
    assert str(run(shop, rows)) == "900 rows read, 600 taken"
    assert counts(shop) == {"import:paid events": (600, 300, 0, 0)}
    assert len([one for one in events(shop) if one.name == "Left"]) == 600
    assert sum("are held for mending already" in line for line in caplog.messages) > 1
    assert str(run(shop, rows + "900,u900,1,Left\n")) == "901 rows read, 1 taken"
    assert counts(shop)["import:paid events"] == (601, 600, 0, 0), "what found no room is tried again"


def of_import(shop: Path) -> list[Event]:
    return [event for event in events(shop) if event.source == "import:paid"]


def read_again(shop: Path) -> Outcome:
    with opened(shop) as there:
        return DeclaredImport(there, current_project(there)[1], "paid").run()


@pytest.mark.parametrize("key", ["key: id\n", "key: id\ndeletes: {compare: true, then: event, event: Gone}\n", ""])
def test_rows_that_found_no_room_come_again_with_the_same_file(
    shop: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    (shop / "imports" / "paid.yaml").write_text(PAID.replace("key: id\n", key))
    with opened(shop) as there:
        apply(there, plan(there))
    rows = "id,who,total,what\n" + "".join(f"{n},u{n},1,{'Paid' if n % 3 == 0 else 'Left'}\n" for n in range(9))
    with monkeypatch.context() as full:
        full.setattr(quarantine, "MOST_HELD", 0)
        assert str(run(shop, rows)) == "9 rows read, 6 taken"
    taken = {event.message_id for event in of_import(shop)}
    assert read_again(shop).n_held == 3
    assert {event.message_id for event in of_import(shop)} == taken, "the others count once"
    with opened(shop) as there:
        assert there.records.quarantine.count() == 3
        found = {one.message_id for one in there.records.quarantine.find(QuarantineFilter(), 9)}
    assert len(found | {event.message_id for event in events(shop) if event.name == "Left"}) == 9
    assert str(read_again(shop)) == "", "all of it is known now"


def test_what_found_no_room_is_known_as_it_was_before(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = "id,who,total,what\n"
    run(shop, f"{head}1,u1,1,Left\n2,u2,1,Left\n")
    with monkeypatch.context() as full:
        full.setattr(quarantine, "MOST_HELD", 0)
        assert str(run(shop, f"{head}1,u1,1,Paid\n2,u2,2,Left\n")) == "2 rows read, 1 taken"
    assert str(run(shop, f"{head}1,u1,1,Left\n2,u2,2,Left\n")) == "2 rows read, 0 taken"
    assert run(shop, f"{head}1,u1,1,Paid\n2,u2,2,Left\n").n_held == 1


def test_a_rehearsal_tells_what_would_be_held_and_counts_nothing(shop: Path) -> None:
    (shop / "paid.csv").write_text(ROWS)
    told = CliRunner().invoke(app, ["import", "paid", "--dry-run", "--project", str(shop)])
    assert "2 x Paid, held back by the tracking plan" in told.output
    assert counts(shop) == {}


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
from running_project import opened
from mailwright.runtime.imports import delivery
from mailwright.runtime.imports.declared import DeclaredImport
from mailwright.runtime.project.versions import current_project

left = int(sys.argv[3])
def dying(of):
    def call(*told):
        global left
        left -= 1
        if left == 0 and sys.argv[4] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        of(*told)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return call
delivery.Delivery._put = dying(delivery.Delivery._put)
delivery.Delivery._count = dying(delivery.Delivery._count)
with opened(Path(sys.argv[2])) as there:
    DeclaredImport(there, current_project(there)[1], "paid").run()
"""


@pytest.mark.parametrize(("call", "when"), [(2, "after"), (3, "before"), (5, "before"), (5, "after")])
def test_killed_at_any_place_it_goes_on_and_counts_once(shop: Path, call: int, when: str) -> None:
    rows = "id,who,total,what\n" + "".join(f"{n},u{n},1,{'Paid' if n % 3 == 0 else 'Left'}\n" for n in range(900))
    (shop / "paid.csv").write_text(rows)
    asked = [sys.executable, "-c", KILLED, str(SCENARIOS), str(shop), str(call), when]
    assert subprocess.run(asked, timeout=240).returncode == -signal.SIGKILL
    run(shop, rows)
    assert counts(shop) == {"import:paid events": (600, 0, 300, 0)}
    with opened(shop) as there:
        assert there.records.quarantine.count() == 300
        assert sum(one.n for one in there.records.sources.violations(0)) == 300
    taken = {event.message_id for event in events(shop) if event.source == "import:paid"}
    assert len(taken) == 600
    assert len({event.message_id for event in events(shop) if event.source == "mailwright"}) == 1


@pytest.mark.parametrize(("call", "when"), [(2, "after"), (4, "before"), (5, "after")])
def test_killed_without_room_its_rows_come_again(
    shop: Path, monkeypatch: pytest.MonkeyPatch, call: int, when: str
) -> None:
    rows = "id,who,total,what\n" + "".join(f"{n},u{n},1,{'Paid' if n % 3 == 0 else 'Left'}\n" for n in range(900))
    (shop / "paid.csv").write_text(rows)
    full = "from mailwright.runtime import quarantine\nquarantine.MOST_HELD = 0\n"
    script = KILLED.replace("\nleft = ", f"\n{full}left = ")
    asked = [sys.executable, "-c", script, str(SCENARIOS), str(shop), str(call), when]
    assert subprocess.run(asked, timeout=240).returncode == -signal.SIGKILL
    with monkeypatch.context() as full:
        full.setattr(quarantine, "MOST_HELD", 0)
        assert read_again(shop).n_held == 0
    assert read_again(shop).n_held == 300
    with opened(shop) as there:
        assert there.records.quarantine.count() == 300
    assert len({event.message_id for event in events(shop) if event.name == "Left"}) == 600


REPLAYED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
from running_project import opened
from mailwright.core.sources import QuarantineFilter
from mailwright.runtime.project.versions import current_project
from mailwright.runtime.quarantine import Quarantine

left, when, what = int(sys.argv[3]), sys.argv[4], sys.argv[5]
with opened(Path(sys.argv[2])) as there:
    held = Quarantine(there.records, there.sealer, there.clock, there.log)
    remove = there.records.quarantine.remove
    def dying(numbers):
        global left
        left -= 1
        if left == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        n = remove(numbers)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return n
    there.records.quarantine.remove = dying
    rules = current_project(there)[1].ingest_rules(there.sealer, there.resolve)
    numbers = held.numbers(QuarantineFilter())
    print(held.replay(numbers, rules, who="me") if what == "replay" else held.discard(numbers, who="me"))
"""


@pytest.mark.parametrize(("call", "when"), [(1, "before"), (2, "before"), (2, "after"), (3, "after")])
def test_a_replay_that_is_killed_anywhere_is_counted_once(shop: Path, call: int, when: str) -> None:
    run(shop, "id,who,total,what\n" + "".join(f"{n},u{n},{n},Paid\n" for n in range(3)))
    assert counts(shop) == {"import:paid events": (0, 0, 3, 0)}
    (shop / "tracking-plan.yaml").write_text("events: {Paid: {properties: {order: text, total: text}}}\n")
    with opened(shop) as there:
        apply(there, plan(there))
    asked = [sys.executable, "-c", REPLAYED, str(SCENARIOS), str(shop)]
    assert subprocess.run([*asked, str(call), when, "replay"], timeout=240).returncode == -signal.SIGKILL
    assert subprocess.run([*asked, "0", "", "replay"], timeout=240).returncode == 0
    assert counts(shop) == {"import:paid events": (3, 0, 0, 0)}
    assert len({event.message_id for event in events(shop) if event.name == "Paid"}) == 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_discard_that_is_killed_is_counted_once(shop: Path, when: str) -> None:
    run(shop, "id,who,total,what\n" + "".join(f"{n},u{n},{n},Paid\n" for n in range(3)))
    asked = [sys.executable, "-c", REPLAYED, str(SCENARIOS), str(shop)]
    assert subprocess.run([*asked, "1", when, "discard"], timeout=240).returncode == -signal.SIGKILL
    assert subprocess.run([*asked, "0", "", "discard"], timeout=240).returncode == 0
    assert counts(shop) == {"import:paid events": (0, 3, 0, 0)}


def test_a_job_tells_of_bad_rows_without_their_values(shop: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = PAID.replace("skip_bad: true\n", "every: 1 hour\n").replace(
        "  what: event",
        "  what: event\n  born: {to: properties.born, type: date}\n  no: {to: properties.why, type: number}",
    )
    (shop / "imports" / "paid.yaml").write_text(text)
    rows = "".join(f"{n},u{n},5,Left,31.02.1990,bob@x.example\n" for n in range(30))
    (shop / "paid.csv").write_text("id,who,total,what,born,no\n" + rows)
    with opened(shop) as there:
        apply(there, plan(there))
        project = current_project(there)[1]
        (job,) = import_jobs(project, there.settings)
        with pytest.raises(InvalidInput, match=r"31\.02\.1990"):
            DeclaredImport(there, project, "paid").run()
        told = Runner(there, lambda: False).run(job, project, there.clock.now())
    assert "line 2, column born: cannot be taken" in told.error
    assert "more faults" in told.error
    for value in ("31.02", "bob@"):
        assert value not in told.error
        assert value not in caplog.text


PLACEHOLDER = "a placeholder, or blocked by identity.yaml"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("1,null,5,Left", f"userId: cannot be taken: nobody is named: what userId says is {PLACEHOLDER}"),
        ("1,,5,Left", "userId: cannot be taken: nobody is named: send userId or anonymousId"),
        ("1,u1,5,", "event: cannot be taken: a track call needs the event's name"),
        (",u1,5,Bought", "properties.order: cannot be taken: required by the tracking plan, but missing"),
        ("1,u1,bob@x.example,Bought", "properties.total: cannot be taken"),
    ],
)
def test_a_job_says_why_where_the_reason_holds_no_value(shop: Path, row: str, told: str) -> None:
    (shop / "tracking-plan.yaml").write_text(
        "events: {Bought: {required: [order], properties: {order: text, total: number}}}\n"
    )
    (shop / "imports" / "paid.yaml").write_text(
        PAID.replace("skip_bad: true\n", "every: 1 hour\n").replace("key: id\n", "")
    )
    (shop / "paid.csv").write_text(f"id,who,total,what\n{row}\n")
    with opened(shop) as there:
        apply(there, plan(there))
        project = current_project(there)[1]
        (job,) = import_jobs(project, there.settings)
        error = Runner(there, lambda: False).run(job, project, there.clock.now()).error
    assert error.partition("\n")[0] == f"paid.csv: line 2, {told}"
    assert "bob@" not in error


def test_a_placeholder_beside_another_name_is_told_without_it(shop: Path) -> None:
    text = PAID.replace("skip_bad: true\n", "every: 1 hour\n") + "  mail: anonymousId\n"
    (shop / "imports" / "paid.yaml").write_text(text)
    (shop / "paid.csv").write_text("id,who,total,what,mail\n1,undefined,5,Left,a1\n")
    with opened(shop) as there:
        apply(there, plan(there))
        project = current_project(there)[1]
        (job,) = import_jobs(project, there.settings)
        error = Runner(there, lambda: False).run(job, project, there.clock.now()).error
    assert f"line 2, userId: cannot be taken: {PLACEHOLDER}, names nobody" in error
    assert "undefined" not in error


def test_a_job_tells_nothing_of_what_the_plan_blocks(shop: Path) -> None:
    (shop / "tracking-plan.yaml").write_text("events: {Left: {properties: {total: number}, violation: block}}\n")
    text = PAID.replace("skip_bad: true\n", "every: 1 hour\n")
    (shop / "imports" / "paid.yaml").write_text(text)
    (shop / "paid.csv").write_text("id,who,total,what\n1,u1,bob@x.example,Left\n")
    with opened(shop) as there:
        apply(there, plan(there))
        project = current_project(there)[1]
        (job,) = import_jobs(project, there.settings)
        told = Runner(there, lambda: False).run(job, project, there.clock.now())
    assert told.error.startswith("paid.csv: line 2, properties.total: cannot be taken")
    assert "bob@" not in told.error
