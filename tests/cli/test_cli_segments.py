"""The past asked on the command line, over a real engine's history: with the engine running, and without."""

import json
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent.parent / "scenarios")]

from running_project import Shop, done, identify, mailwright, make_project, opened, order, serving  # noqa: E402

from mailwright.runtime.project.versions import apply, plan  # noqa: E402

TICKS = [f"2026-11-{day:02}T09:00:00Z" for day in (3, 4, 10, 18, 19)] + ["2026-12-20T09:00:00Z"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two customers, a merge, a late event, a new definition and time that passes; the engine has ended since."""
    folder = make_project(tmp_path_factory.mktemp("past") / "shop")
    with serving(folder) as served, opened(folder) as there:
        here = Shop(there, served)
        here.batch([identify("ada", "ada@maple.example"), order("ada", 1), order("bob", 1)])
        here.tick(TICKS[0])
        here.batch([order("ada", 2), {**order("x", 3), "userId": None, "anonymousId": "a1"}])
        here.tick(TICKS[1])
        here.batch([{"type": "identify", "messageId": "join", "userId": "cem", "anonymousId": "a1", "traits": {}}])
        here.tick(TICKS[2])
        segments = folder / "segments.yaml"
        segments.write_text(segments.read_text().replace("orders >= 1", "orders >= 2"))
        apply(there, plan(there))
        here.tick(TICKS[3])
        here.batch([order("bob", 2, at="2026-11-05T09:00:00Z")])
        for at in TICKS[4:]:
            here.tick(at)
        now = json.loads(done("segment", "customers", "--json", "--project", str(folder)))
        assert (now["size"], now["version"], now["tick"]["at"]) == (2, 2, TICKS[-1])
        asked = json.loads(done("query", "orders >= 1", "--json", "--project", str(folder)))
        assert (asked["size"], asked["n_persons"]) == (3, 3)
        assert "customers: 2 of 3 people" in done("segment", "customers", "--project", str(folder))
    return folder


def told(shop: Path, *args: str) -> dict:
    return json.loads(done(*args, "--json", "--project", str(shop)))


def test_now_without_an_engine_is_the_same(shop: Path) -> None:
    now = told(shop, "segment", "customers")
    assert (now["size"], now["version"]) == (2, 2)
    assert [member["identifier"] for member in now["members"]] == ["user_id:ada", "user_id:bob"]
    assert now["members"][1]["since"] == TICKS[4]


def test_as_of_each_day(shop: Path) -> None:
    sizes = [told(shop, "segment", "customers", "--as-of", at)["size"] for at in TICKS]
    assert sizes == [2, 3, 3, 1, 2, 2]
    today = [told(shop, "segment", "customers", "--as-of", at, "--with", "current")["size"] for at in TICKS]
    assert today == [0, 1, 1, 1, 2, 2]
    assert told(shop, "segment", "customers", "--as-of", "2026-11-03")["tick"]["at"] == TICKS[0]
    assert told(shop, "query", "orders >= 2", "--as-of", "2026-11-18")["size"] == 1


def test_a_backtest_equals_the_record(shop: Path) -> None:
    found = told(shop, "backtest", "customers", "--from", "2026-11-03T10:00:00Z", "--to", "2026-11-30")
    assert found["agreement"] | {"compared_from": ""} == {
        "equal": True,
        "compared_from": "",
        "members": 2,
        "transitions": 4,
        "note": "",
        "difference": None,
    }
    days = {day["day"]: day for day in found["days"]}
    assert days["2026-11-18"] == {"day": "2026-11-18", "size": 1, "entered": {}, "left": {"definition": 2}}
    assert days["2026-11-30"]["size"] == 2
    for name in ("newcomers", "lapsed_30d"):
        text = done("backtest", name, "--from", "2026-11-02", "--project", str(shop))
        assert "equal: " in text
    assert "time" in text


def test_a_rule_that_is_no_segment(shop: Path) -> None:
    found = told(shop, "backtest", "--rule", "did 'Order Completed' within 7 days", "--from", "2026-11-02")
    assert [day["size"] for day in found["days"]][:3] == [0, 2, 3]
    assert found["days"][-1]["size"] == 0
    assert found["agreement"]["note"]
    whole = {person["person"]: person["inside_s"] for person in found["people"]}
    assert max(whole.values()) <= 15 * 86_400


def test_why(shop: Path) -> None:
    args = ("segment", "newcomers", "--why", "user_id:bob", "--as-of", "2026-11-04")
    found = told(shop, *args)
    assert found["why"]["holds"] is True
    recent = found["why"]["parts"][1]
    assert (recent["n_events"], recent["events"][0]["name"]) == (1, "Order Completed")
    assert recent["changes_at"] == found["why"]["changes_at"]
    mailed = told(shop, "segment", "customers", "--why", "email:ada@maple.example")
    assert (mailed["identifier"], mailed["why"]["holds"]) == ("user_id:ada", True)
    for width in ("60", "80"):
        ran = mailwright(*args, "--project", str(shop), env={"COLUMNS": width})
        assert ran.returncode == 0
        assert max(map(len, ran.stdout.splitlines())) <= int(width)
        assert "yes did 'Order Completed' within 14" in ran.stdout


def test_a_value_prints_its_distribution(shop: Path) -> None:
    found = told(shop, "query", "orders")
    assert (found["count"], found["missing"], found["min"], found["median"], found["max"]) == (3, 0, 1, 2, 2)
    assert "min 1, median 2, max 2" in done("query", "orders", "--project", str(shop))


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
def test_a_rule_as_sql(shop: Path, dialect: str) -> None:
    sql = done("query", "orders >= 2", "--print-sql", dialect, "--project", str(shop))
    assert "Order Completed" in sql
    assert sql.lstrip().startswith(("WITH", "SELECT"))


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("segment", "custmers"), 3, "did you mean 'customers'?"),
        (("segment", "customers", "--why", "user_id:nobody"), 3, "nobody was known"),
        (("segment", "customers", "--with", "then", "--as-of", "2026-11-03"), 2, "in-force or current"),
        (("segment", "customers", "--as-of", "yesterday"), 2, "ISO 8601"),
        (("query", "ordrs >= 2"), 2, "^"),
        (("query", "orders >="), 2, "^"),
        (("query", "orders >= 2", "--print-sql", "oracle"), 2, "duckdb"),
        (("backtest", "--rule", "orders", "--from", "2026-11-03"), 2, "is a value"),
        (("backtest", "customers"), 2, "--from"),
        (("backtest", "customers", "--from", "2026-11-09", "--to", "2026-11-03"), 2, "lies before"),
    ],
)
def test_what_is_wrong_is_told(shop: Path, args: tuple[str, ...], code: int, says: str) -> None:
    ran = mailwright(*args, "--project", str(shop))
    assert ran.returncode == code, ran.stderr + ran.stdout
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr
