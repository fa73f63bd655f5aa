"""The FindingRecords port."""

from mailwright.core.findings import Finding
from mailwright.core.instants import Instant


def found(subject: str, monitor: str = "volume", message: str = "few") -> Finding:
    return Finding(
        monitor=monitor,
        subject=subject,
        severity="serious",
        message=message,
        example="2026-11-22",
        suggestion="look",
        figures={"seen": 1.5},
    )


def test_a_new_finding_is_told_once_and_lasts_until_it_is_found_no_more(records):
    assert records.findings.observe(["volume"], [found("a"), found("b")], Instant(10)) == [found("a"), found("b")]
    later = found("a", message="fewer")
    assert records.findings.observe(["volume"], [later], Instant(20)) == []
    [a, b] = records.findings.newest(10)
    assert (a.finding, a.first_at, a.last_at, a.resolved_at) == (later, 10, 20, None)
    assert (b.finding, b.first_at, b.last_at, b.resolved_at) == (found("b"), 10, 10, 20)


def test_one_that_comes_again_is_news(records):
    for now, findings in ((10, [found("a")]), (20, []), (30, [found("a")])):
        told = records.findings.observe(["volume"], findings, Instant(now))
        assert told == findings
    [a] = records.findings.newest(10)
    assert (a.first_at, a.last_at, a.resolved_at) == (30, 30, None)


def test_what_nobody_was_told_of_stays_untold_until_somebody_is(records):
    records.findings.observe(["volume"], [found("a"), found("b")], Instant(10))
    assert records.findings.unalerted(["volume"]) == [found("a"), found("b")]
    assert records.findings.unalerted(["missing"]) == []
    records.findings.alerted([found("a")], Instant(11))
    records.findings.observe(["volume"], [found("a"), found("b")], Instant(20))
    assert records.findings.unalerted(["volume"]) == [found("b")]
    records.findings.observe(["volume"], [], Instant(30))
    assert records.findings.unalerted(["volume"]) == []
    records.findings.observe(["volume"], [found("a")], Instant(40))
    assert records.findings.unalerted(["volume"]) == [found("a")], "it came again, which is news"


def test_monitors_that_did_not_look_resolve_nothing(records):
    records.findings.observe(["volume", "missing"], [found("a"), found("a", "missing")], Instant(10))
    records.findings.observe(["missing"], [], Instant(20))
    records.findings.observe([], [], Instant(30))
    assert [(one.finding.monitor, one.resolved_at) for one in records.findings.newest(10)] == [
        ("volume", None),
        ("missing", 20),
    ]
    assert len(records.findings.newest(1)) == 1


def test_what_nobody_could_look_at_is_not_resolved(records):
    records.findings.observe(["volume"], [found("a"), found("b")], Instant(10))
    records.findings.observe(["volume"], [], Instant(20), unsure=["volume: a"])
    assert {one.finding.subject: one.resolved_at for one in records.findings.newest(10)} == {"a": None, "b": 20}


def test_a_finding_exists_by_its_key_also_when_it_is_gone(records):
    records.findings.observe(["volume"], [found("a")], Instant(10))
    records.findings.observe(["volume"], [], Instant(20))
    assert [records.findings.exists(key) for key in ("volume: a", "volume: b", "a", "")] == [True, False, False, False]
