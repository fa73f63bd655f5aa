"""The engine over real stores: log to ticks to Records and History, through restarts and rivals."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from engine_world import FILES, STORY, World, at, defined, event, fold, records, view, wait_for, world  # noqa: E402

from mailwright.core.errors import Conflict, Transient  # noqa: E402
from mailwright.core.events import PLACES, Events, Tick  # noqa: E402
from mailwright.runtime.engine import reads  # noqa: E402
from mailwright.runtime.engine.socket import EngineClient, EngineServer  # noqa: E402


@pytest.fixture
def there(tmp_path: Path):
    with world(tmp_path) as made:
        yield made


def history(there: World) -> dict[str, list]:
    """What History holds, by table."""
    return {
        "events": there.history.query('SELECT "offset", message_id FROM events ORDER BY ALL').to_pylist(),
        "ticks": there.history.query('SELECT "offset", "at" FROM ticks ORDER BY ALL').to_pylist(),
        "transitions": there.history.query(
            'SELECT "offset", person, segment, entered FROM transitions ORDER BY ALL'
        ).to_pylist(),
        "items": there.history.query('SELECT "offset", item_id FROM items ORDER BY ALL').to_pylist(),
    }


def test_from_the_log_to_records_and_history(there: World) -> None:
    there.append(STORY)
    with there.running(there.engine()) as engine:
        state = there.caught_up(engine)
        engine.ask(lambda _: engine.flush_history()).result(30)
        wanted, folded = fold(records(STORY))
        assert view(state) == view(wanted)
        assert there.stored.engine.applied() == len(STORY) * PLACES
        kept = history(there)
    assert [(row["offset"], row["message_id"]) for row in kept["events"]] == [
        (offset, one.message_id) for offset, _, _, one in folded.events
    ]
    assert len(kept["transitions"]) == len(folded.changes) == 11
    assert [row["offset"] for row in kept["ticks"]] == [offset for offset, _ in folded.ticks]
    assert [row["item_id"] for row in kept["items"]] == ["p1"]
    assert there.failures == []


@pytest.mark.parametrize("checkpoint_events", [1, 10**9])
def test_an_engine_started_anew_doubles_nothing(there: World, checkpoint_events: int) -> None:
    for part in (STORY[:6], STORY[6:9], STORY[9:]):
        there.append(part)
        with there.running(there.engine(checkpoint_events=checkpoint_events)) as engine:
            state = there.caught_up(engine)
            engine.ask(lambda _, engine=engine: engine.flush_history()).result(30)
    wanted, folded = fold(records(STORY))
    assert view(state) == view(wanted)
    assert state.fold.state_hash() == wanted.fold.state_hash()
    kept = history(there)
    assert len(kept["events"]) == len(folded.events)
    assert len(kept["transitions"]) == len(folded.changes)
    assert there.failures == []


def test_a_broken_checkpoint_is_passed_over(there: World) -> None:
    there.append(STORY)
    with there.running(there.engine(checkpoint_events=1)) as engine:
        there.caught_up(engine)
    blobs = [path for path in (there.folder / "blobs").rglob("*") if path.is_file()]
    assert blobs
    for path in blobs:
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-3])
    with there.running(there.engine()) as engine:
        assert view(there.caught_up(engine)) == view(fold(records(STORY))[0])
    assert there.failures == []


def test_an_engine_that_was_taken_over_stops(there: World) -> None:
    there.append(STORY[:5])
    with there.running(there.engine()) as engine:
        there.caught_up(engine)
        there.stored.engine.take_over()
        there.append([(3, Tick())])
        wait_for(lambda: there.failures, "the old engine goes on")
    assert isinstance(there.failures[0], Conflict)
    assert there.stored.engine.applied() == 5 * PLACES


def test_reads_over_the_socket(there: World) -> None:
    there.append(STORY)
    with there.running(there.engine()) as engine:
        there.caught_up(engine)
        server = EngineServer(engine, there.folder / "engine.sock")
        client = EngineClient(there.folder / "engine.sock")
        try:
            assert client.status() == reads.status(engine.state)
            assert client.facts([0, 7]) == reads.facts(engine.state, [0, 7], [])
            assert client.find("user_id", "bob") == 1
            assert client.find("user_id", "nobody") is None
            assert client.members("customers", None, 10) == [0, 1, 3]
            assert client.items("products", ["p1", "p9"])["p1"].facts == {"price": 2.5}
            client.flush_history()
            assert there.history.offset("events") == engine.state.upto
        finally:
            client.close()
            server.close()


def test_a_client_lives_through_a_new_engine(there: World) -> None:
    there.append(STORY[:5])
    client = EngineClient(there.folder / "engine.sock")
    for part in ([], [(4.0, Events([event(50, "dora", days=4)])), (4.1, Tick())]):
        there.append(part)
        with there.running(there.engine()) as engine:
            there.caught_up(engine)
            server = EngineServer(engine, there.folder / "engine.sock")
            found = client.status()
            server.close()
    client.close()
    assert found.at == at(4.1)
    assert found.n_persons == 3


class TiredOnce:
    """Records whose engine part cannot be read at the first due tick; everything else is the real thing."""

    def __init__(self, stored: object) -> None:
        self._stored = stored
        self.engine = self
        self.tired = 0

    def last_occurrence(self, campaign: str) -> str | None:
        self.tired += 1
        if self.tired == 1:
            raise Transient("records.busy", "the database is locked")
        return self._stored.engine.last_occurrence(campaign)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stored.engine if hasattr(self._stored.engine, name) else self._stored, name)


def test_a_tick_whose_effects_cannot_be_worked_out_now_has_them_later(there: World) -> None:
    campaign = (
        "{title: News, audience: in segment customers, schedule: {every: day, at: '12:00'}, mail: {template: news}}"
    )
    mjml = "---\nsubject: News\n---\n<mjml><mj-body></mj-body></mjml>"
    files = FILES | {"campaigns/news.yaml": campaign, "templates/news.mjml": mjml}
    tired = there.stored = TiredOnce(there.stored)
    there.append([(0, defined(files)), (0.1, Events([event(1, "ada", properties={"total": 60})])), (0.5, Tick())])
    with there.running(there.engine()) as engine:
        wait_for(lambda: tired.engine.applied() == 3 * PLACES, "the tick was never applied")
        assert engine.state.number == 3
    assert tired.tired == 2
    assert tired.messages.open_count() == 1
    assert there.failures == []


def test_history_knows_whom_an_identifier_belonged_to(there: World) -> None:
    there.append(STORY)
    with there.running(there.engine()) as engine:
        there.caught_up(engine)
        engine.ask(lambda _: engine.flush_history()).result(30)
    rows = there.history.query("SELECT identifier, person, from_offset, to_offset FROM belonging").to_pylist()
    assert {(row["identifier"], row["person"]) for row in rows} >= {
        ("user_id:ada", 0),
        ("user_id:bob", 1),
        ("anonymous_id:a1", 2),
    }
    assert all(row["to_offset"] is None or row["to_offset"] >= row["from_offset"] for row in rows)
