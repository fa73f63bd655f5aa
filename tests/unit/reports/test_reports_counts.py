"""Every figure of the overview against a count by hand, on a History small enough to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa
import pytest

from mailwright.core.errors import InvalidInput
from mailwright.core.events import Identifier, Offset, Person
from mailwright.core.happenings import Happening, Place, Unwritten, Whose
from mailwright.core.instants import DAY, HOUR, parse_iso
from mailwright.core.messages import MessageState
from mailwright.core.ports import ModelVersion
from mailwright.experiments.definitions import ExperimentDefinition, VariantDefinition
from mailwright.reports.overview import (
    Reactions,
    events_per_day,
    experiment_reports,
    mail_outcomes,
    model_reports,
    reactions,
    segment_sizes,
)
from mailwright.reports.timeline import timeline
from mailwright.runtime.engine.history_rows import EVENTS, TRANSITIONS
from mailwright.stores.history_delta import DeltaHistory

UTC = ZoneInfo("UTC")
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def history(tmp_path: Path) -> DeltaHistory:
    """An empty History, the real one."""
    return DeltaHistory(tmp_path)


def _event(
    offset: int, at: str, name: str, who: str = "a", source: str = "till", kind: str = "track", **properties: Any
) -> dict[str, Any]:
    return {
        "offset": offset,
        "stamp_at": parse_iso(at),
        "source": source,
        "type": kind,
        "name": name,
        "identifier_kind": "user_id",
        "identifier": who,
        "properties": msgspec.json.encode(properties).decode() if properties else None,
    }


def _ours(offset: int, name: str, who: str, message: str, **properties: Any) -> dict[str, Any]:
    return _event(offset, "2017-12-25T12:00:00Z", name, who, "mailwright", message_id=message, **properties)


def _holding(history: DeltaHistory, *rows: dict[str, Any]) -> DeltaHistory:
    history.append("events", pa.Table.from_pylist(list(rows), EVENTS), Offset(10**6))
    return history


# --- events per day --------------------------------------------------------------------------------------------------

SHOP = [
    _event(1, "2017-12-01T23:30:00Z", "Order Completed"),
    _event(2, "2017-12-02T04:30:00Z", "Order Completed"),
    _event(3, "2017-12-02T12:00:00Z", "Coupon Applied"),
    _event(4, "2017-12-05T12:00:00Z", "Order Completed"),
    _event(5, "2017-12-05T12:00:00Z", "", kind="identify"),
    _event(6, "2017-12-05T13:00:00Z", "Product Viewed"),
]


def test_days_are_without_gaps_and_names_beyond_the_largest_are_other(history: DeltaHistory) -> None:
    found = events_per_day(_holding(history, *SHOP), UTC, names=2)
    assert found.days == ["2017-12-01", "2017-12-02", "2017-12-03", "2017-12-04", "2017-12-05"]
    assert found.by_name == {
        "Order Completed": [1, 1, 0, 0, 1],
        "Coupon Applied": [0, 1, 0, 0, 0],
        "Other": [0, 0, 0, 0, 2],
    }
    assert found.total == len(SHOP)


def test_days_are_the_shops(history: DeltaHistory) -> None:
    found = events_per_day(_holding(history, *SHOP), NEW_YORK)
    assert found.days[0] == "2017-12-01"
    assert found.by_name["Order Completed"] == [2, 0, 0, 0, 1]
    assert "Other" not in found.by_name
    assert found.by_name["identify"] == [0, 0, 0, 0, 1]


def test_without_history_there_is_nothing(history: DeltaHistory) -> None:
    empty = history
    assert events_per_day(empty, UTC).days == []
    assert reactions(empty) == Reactions(sent=0, opened=0, clicked=0, unsubscribed=0)
    assert reactions(empty).click_rate is None
    assert experiment_reports(empty, {}) == []
    assert _lines(empty, 1, limit=5) == []


# --- mails and reactions ---------------------------------------------------------------------------------------------


class CountedMessages:
    """Counts as the outbox gives them."""

    def counts(self) -> list[tuple[str, MessageState, str | None, str | None, int]]:
        return [
            ("campaign:weekly", MessageState.SENT, "250 ok", "popular", 40),
            ("campaign:weekly", MessageState.SENT, "250 ok", "personalised", 41),
            ("campaign:weekly", MessageState.SUPPRESSED, "no_consent", None, 5),
            ("journey:win_back", MessageState.SUPPRESSED, "no_consent", None, 2),
            ("journey:win_back", MessageState.QUEUED, None, None, 3),
        ]


def test_outcomes_by_state_reason_and_origin() -> None:
    found = mail_outcomes(CountedMessages())  # type: ignore[arg-type]
    assert found.total == 91
    assert found.sent == 81
    assert found.by_state == {MessageState.SENT: 81, MessageState.SUPPRESSED: 7, MessageState.QUEUED: 3}
    assert found.by_reason == {(MessageState.SUPPRESSED, "no_consent"): 7}
    assert found.by_origin["journey:win_back"] == {MessageState.SUPPRESSED: 2, MessageState.QUEUED: 3}


REACTIONS = [
    _ours(10, "Email Sent", "a", "m1", experiment="x", variant="new"),
    _ours(11, "Email Sent", "a", "m2", experiment="x", variant="new"),
    _ours(12, "Email Sent", "b", "m3", experiment="x", variant="old"),
    _ours(13, "Email Sent", "c", "m4", experiment="x", variant="old"),
    _ours(14, "Email Sent", "d", "m5"),
    _ours(15, "Email Suppressed", "e", "m6", experiment="x", variant="old"),
    _ours(20, "Email Opened", "a", "m1", machine=False),
    _ours(21, "Email Opened", "a", "m1", machine=False),
    _ours(22, "Email Opened", "b", "m3", machine=True),
    _ours(23, "Email Link Clicked", "a", "m1", machine=False),
    _ours(24, "Email Link Clicked", "a", "m2", machine=False),
    _ours(25, "Email Link Clicked", "c", "m4", machine=True),
    _ours(26, "Email Link Clicked", "d", "m5"),
    _ours(27, "Unsubscribed", "b", "m3"),
    _event(28, "2017-12-25T13:00:00Z", "Email Link Clicked", "b", message_id="m3"),
]


def test_reactions_count_mails_once_and_neither_machines_nor_other_sources(history: DeltaHistory) -> None:
    found = reactions(_holding(history, *REACTIONS))
    assert found == Reactions(sent=5, opened=1, clicked=3, unsubscribed=1)
    assert found.click_rate == pytest.approx(3 / 5)
    assert found.open_rate == pytest.approx(1 / 5)


def _experiment(*names: str) -> ExperimentDefinition:
    return ExperimentDefinition(name="x", variants={name: VariantDefinition(share=1 / len(names)) for name in names})


def test_arms_count_people_not_mails_control_first(history: DeltaHistory) -> None:
    (report,) = experiment_reports(_holding(history, *REACTIONS), {"x": _experiment("old", "new", "never")})
    assert [(arm.name, arm.n, arm.clicks) for arm in report.analysis.arms] == [
        ("old", 2, 0),
        ("new", 1, 1),
        ("never", 0, 0),
    ]
    assert report.mails == {"old": (2, 0), "new": (2, 2), "never": (0, 0)}
    assert report.analysis.arms[1].verdict == "not proven"


def test_an_experiment_that_is_no_longer_defined_is_still_reported(history: DeltaHistory) -> None:
    (report,) = experiment_reports(_holding(history, *REACTIONS), {})
    assert [arm.name for arm in report.analysis.arms] == ["new", "old"]


def test_a_defined_experiment_without_mails_has_empty_arms(history: DeltaHistory) -> None:
    (report,) = experiment_reports(_holding(history, *SHOP), {"x": _experiment("old", "new")})
    assert [(arm.n, arm.rate) for arm in report.analysis.arms] == [(0, None), (0, None)]


# --- segments and models ---------------------------------------------------------------------------------------------


def test_segments_keep_the_files_order() -> None:
    rows = segment_sizes({"a": 1, "b": 3, "zz": 2, "c": 0}, {"b": "Bees", "a": "Ays", "gone": "Gone"}, 4)
    assert [(row.name, row.title, row.size, row.share) for row in rows] == [
        ("b", "Bees", 3, 0.75),
        ("a", "Ays", 1, 0.25),
        ("c", "c", 0, 0.0),
        ("zz", "zz", 2, 0.5),
    ]
    assert segment_sizes({"a": 0}, {}, 0)[0].share is None


class TwoModels:
    """A registry with two versions of one model."""

    def all(self) -> list[ModelVersion]:
        return [self._version(1, 0.1), self._version(2, 0.3)]

    def _version(self, version: int, own: float) -> ModelVersion:
        return ModelVersion(
            name="for_you",
            version=version,
            created_at=parse_iso("2017-12-01"),
            kind="ease",
            parameters={},
            metrics={
                "popularity": {"ndcg": 0.2, "recall": 0.1},
                "for_you": {"ndcg": own, "ndcg_low": 0.1, "ndcg_high": 0.4},
            },
            passed=own > 0.2,
            gate="",
            blob=None,
            data_hash="",
            code_version="",
        )


def test_the_newest_version_stands_first_above_its_baselines() -> None:
    (report,) = model_reports(TwoModels())  # type: ignore[arg-type]
    assert report.version.version == 2
    assert [(row.name, row.is_model) for row in report.rows] == [("for_you", True), ("popularity", False)]
    assert report.metrics == ["ndcg", "recall"]
    assert [row.interval("ndcg") for row in report.rows] == [(0.1, 0.4), None]
    assert (report.best("ndcg"), report.best("recall"), report.best("none")) == (0.3, 0.1, None)


# --- timeline --------------------------------------------------------------------------------------------------------


class _NothingWaits:
    """The engine's side of a timeline whose every line is in History."""

    def unwritten(self, whose: Whose, before: Place, limit: int) -> Unwritten:
        return Unwritten(rows=[], after=Offset(2**62))


def _lines(
    history: DeltaHistory, person: int, *names: Identifier, before: str | None = None, limit: int = 9
) -> list[Happening]:
    whose = Whose(person=Person(person), identifiers=list(names))
    return timeline(_NothingWaits(), history, whose, before=before, limit=limit).happened  # type: ignore[arg-type]


def _timeline(history: DeltaHistory) -> DeltaHistory:
    events = [_event(4096 + n, "2017-12-01T00:00:00Z", f"E{n % 3}", "ab"[n % 2], n=n) for n in range(20)]
    start = parse_iso("2017-12-01T00:00:00Z")
    moves = [
        {"offset": 4096 * 9, "at": start, "person": 1, "segment": "vip", "entered": True, "cause": "event"},
        {"offset": 4096 * 9, "at": start, "person": 1, "segment": "new", "entered": False, "cause": "time"},
        {"offset": 4096 * 9, "at": start + DAY, "person": 2, "segment": "vip", "entered": True, "cause": "event"},
    ]
    history.append("transitions", pa.Table.from_pylist(moves, TRANSITIONS), Offset(10**6))
    return _holding(history, *events)


def test_a_timeline_pages_through_all_even_at_one_instant(history: DeltaHistory) -> None:
    _timeline(history)
    mine = [Identifier("user_id", "a"), Identifier("email", "h")]
    found, before = [], None
    while page := _lines(history, 1, *mine, before=before, limit=3):
        found += page
        before = page[-1].cursor
    assert [one.detail["n"] for one in found if one.kind == "event"] == list(range(18, -1, -2))
    assert [(one.kind, one.label, one.source) for one in found if one.kind != "event"] == [
        ("entered", "vip", "event"),
        ("left", "new", "time"),
    ]


def test_other_people_are_not_in_it(history: DeltaHistory) -> None:
    assert _lines(_timeline(history), 5, Identifier("user_id", "zz")) == []


def test_only_our_own_events_name_a_mail(history: DeltaHistory) -> None:
    _holding(
        history,
        _ours(1, "Email Sent", "a", "m1"),
        _event(2, "2017-12-25T12:00:00Z", "Email Sent", "a", message_id="theirs"),
    )
    found = _lines(history, 1, Identifier("user_id", "a"))
    assert {one.source: one.message_id for one in found} == {"mailwright": "m1", "till": None}


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.", "1.x.y", "9" * 30 + ".1.a", "-.1.a", "1.²."])
def test_what_is_no_cursor_is_refused(history: DeltaHistory, cursor: str) -> None:
    with pytest.raises(InvalidInput):
        _lines(_timeline(history), 1, before=cursor, limit=3)


def test_a_cursor_before_1970_works(history: DeltaHistory) -> None:
    early = _holding(history, _event(1, "1969-12-31T00:00:00Z", "Old"), _event(2, "1969-12-30T00:00:00Z", "Older"))
    first, *_ = _lines(early, 1, Identifier("user_id", "a"), limit=1)
    rest = _lines(early, 1, Identifier("user_id", "a"), before=first.cursor)
    assert [one.label for one in rest] == ["Older"]
    assert first.at - rest[0].at == 24 * HOUR
