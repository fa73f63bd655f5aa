"""``mailwright person``, ``merge`` and ``split``, over a project with a running engine."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

sys.path[:0] = [str(Path(__file__).parent.parent / each) for each in ("scenarios", "unit/runtime")]

from engine_world import ThreadJob, wait_for  # noqa: E402
from running_project import SETTINGS, make_project  # noqa: E402

from mailwright.cli.main import app  # noqa: E402
from mailwright.core.errors import MailwrightError, Transient  # noqa: E402
from mailwright.core.events import PLACES, Event, Events, Identifier, Tick  # noqa: E402
from mailwright.core.instants import Instant  # noqa: E402
from mailwright.runtime.engine.history import HistoryWriter  # noqa: E402
from mailwright.runtime.engine.loop import Engine, Pace  # noqa: E402
from mailwright.runtime.engine.socket import EngineServer  # noqa: E402
from mailwright.runtime.installation import open_installation  # noqa: E402
from mailwright.runtime.settings import load_settings  # noqa: E402

PROFILE = "defaults: {country: DE}\ntraits: {phone: {normalise: phone}}\n"
STREET = "Hauptstr. 1"


def call(number: int, names: list[Identifier], at: Instant, name: str = "Order Completed", **more: object) -> Event:
    told = {"name": name, "type": "track"} if name else {"type": "identify"}
    return Event(
        message_id=f"m{number}",
        source="till",
        stamp_at=at,
        received_at=at,
        known_at=at,
        identifiers=names,
        **told,
        **more,
    )


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A project whose engine runs in a thread; Ada's laptop was taken for hers."""
    folder = make_project(tmp_path / "shop", SETTINGS, {"profile.yaml": PROFILE})
    there = open_installation(load_settings(folder))
    now = there.clock.now()
    ada = [Identifier("user_id", "ada"), Identifier("email", there.sealer.hash("email", "ada@shop.example"))]
    ada.append(Identifier("phone", there.sealer.hash("phone", "+491711234567")))
    laptop = Identifier("anonymous_id", "laptop")
    engine = Engine(
        log=there.log,
        records=there.records,
        history=HistoryWriter(there.history),
        blobs=there.blobs,
        clock=there.clock,
        append_ticks=False,
        pace=Pace(checkpoint_s=10**6, checkpoint_events=10**9, history_s=10**6),
        backfill=lambda order, tell: ThreadJob(lambda: "", tell),
    )
    thread = threading.Thread(target=engine.run)
    thread.start()
    server = EngineServer(engine, there.settings.data_folder / "engine.sock")
    there.log.append([Events([call(1, ada, now), call(2, [laptop], now)])], now)
    address = {"street": there.sealer.seal("address.street", STREET), "city": "Berlin"}
    traits = {"plan": "gold", "timezone": "Asia/Tokyo", "address": address}
    there.log.append([Events([call(3, ada[:1], now, "", traits=traits)])], now)
    there.log.append([Events([call(4, [ada[0], laptop], now, "Product Viewed")])], now)
    there.log.append([Tick()], now)

    def answers() -> bool:
        try:
            return there.engine.status().offset >= there.log.last()[0] * PLACES
        except Transient:
            return False

    wait_for(answers, "the engine does not answer")
    there.engine.flush_history()
    yield SimpleNamespace(folder=folder, there=there)
    engine.stop()
    thread.join(120)
    server.close()
    there.close()


def said(shop: SimpleNamespace, *words: str, width: int = 200) -> str:
    found = CliRunner().invoke(app, [*words, "--project", str(shop.folder)], env={"COLUMNS": str(width)})
    if isinstance(found.exception, MailwrightError):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.output


def test_a_person_is_shown_by_any_name(shop):
    for name in (
        "ada",
        "user_id:ada",
        "ada@shop.example",
        "#0",
        "anonymous_id:laptop",
        "0171 1234567",
        "phone:0171/1234567",
    ):
        assert "plan = gold  (till, " in said(shop, "traits", name), name
        assert said(shop, "person", name).startswith("#0  user_id:ada\n4 events, "), name
    shown = said(shop, "person", "ada")
    assert "  plan = gold  (till, " in shown
    assert "time zone    Asia/Tokyo (by the trait timezone)" in shown
    assert "ada@shop.example" not in shown
    told = json.loads(said(shop, "person", "ada", "--json"))
    assert (told["person"], told["events"], told["traits"]["plan"]["value"]) == (0, 4, "gold")
    assert told["traits"]["address"]["value"] == {"street": STREET, "city": "Berlin"}
    assert f'address = {{"street":"{STREET}","city":"Berlin"}}  (till, ' in shown
    assert STREET in said(shop, "traits", "ada")
    assert told["time_zone"] == {"name": "Asia/Tokyo", "from": "trait"}
    with pytest.raises(MailwrightError, match="nobody is known as 'bob'"):
        said(shop, "person", "bob")


def test_a_person_is_shown_with_what_may_be_written_to_them(shop):
    assert "consents     none on record" in said(shop, "person", "ada")
    consent = ["--grant", "--purpose", "marketing", "--source", "form", "--wording", "Yes, write to me"]
    said(shop, "consent", "ada@shop.example", *consent)
    assert "consents     marketing granted" in said(shop, "person", "ada")
    said(shop, "suppress", "ada@shop.example", "--reason", "complaint")
    (line,) = [one for one in said(shop, "person", "ada").splitlines() if one.startswith("suppressed")]
    assert line.endswith(": complaint")
    told = json.loads(said(shop, "person", "ada", "--json"))
    assert [(one["purpose"], one["state"]) for one in told["consents"]] == [("marketing", "granted")]
    (suppressed,) = told["suppressed"]
    assert (suppressed["reason"], suppressed["address_hash"]) == ("complaint", told["consents"][0]["address_hash"])


def test_the_timeline_has_what_is_not_in_history_yet(shop):
    there = shop.there
    now = there.clock.now()
    there.log.append([Events([call(9, [Identifier("user_id", "ada")], now, "Wished")])], now)
    wait_for(lambda: there.engine.status().offset >= there.log.last()[0] * PLACES, "the engine does not fold it")
    lines = said(shop, "person", "ada", "--timeline").splitlines()
    assert lines[0].endswith("Wished  (till)")
    assert [line.split("  ")[1] for line in lines].count("merge #1") == 1
    assert any(line.endswith('{"street":"' + STREET + '","city":"Berlin"}}') for line in lines)
    told = [
        json.loads(line) for line in said(shop, "person", "ada", "--timeline", "--limit", "2", "--json").splitlines()
    ]
    assert len(told) == 2
    assert (told[0]["kind"], told[0]["name"], told[0]["detail"]) == ("event", "Wished", {})
    assert there.history.offset("events") < told[0]["offset"]


def test_the_graph_is_a_tree_and_a_merge_goes_and_comes_back(shop):
    shown = said(shop, "person", "ada", "--graph", width=40)
    assert shown.startswith("#0, also known as #1\nuser_id:ada  ")
    assert "├─email:" in shown
    assert "└─anonymous_id:laptop  " in shown
    assert "merge 1, Order Completed of till" in shown
    assert "track m4 of till names user_id:ada and anonymous_id:laptop" in shown
    assert "taking it back moves 1" in shown
    assert said(shop, "split", "ada", "--merge", "1", "--reason", "a shared laptop").splitlines()[1] == (
        "#1  anonymous_id:laptop"
    )
    assert "set apart from #1" in said(shop, "person", "ada", "--graph")
    told = json.loads(said(shop, "person", "ada", "--graph", "--json"))
    assert [each["key"].partition(":")[0] for each in told["identifiers"]] == ["user_id", "email", "phone"]
    assert told["identifiers"][0]["event"] == {"source": "till", "name": "Order Completed", "message_id": "m1"}
    said(shop, "merge", "ada", "#1", "--reason", "hers after all")
    assert "hers after all" in said(shop, "person", "#1", "--graph")
    for words, message in (
        (("split", "ada", "--merge", "1", "--reason", "x"), "was taken back already"),
        (("split", "ada", "--identifier", "phone:1", "--reason", "x"), "is no identifier of"),
        (("split", "ada", "--reason", "x"), "a split takes one merge back"),
        (("merge", "ada", "#1", "--reason", "x"), "both are person #0 already"),
    ):
        with pytest.raises(MailwrightError, match=message):
            said(shop, *words)
    said(shop, "split", "ada", "--identifier", "email:ada@shop.example", "--reason", "of the family")
    assert said(shop, "person", "ada@shop.example").startswith("#2  email:")


def test_a_trait_is_corrected_with_a_reason(shop):
    told = said(shop, "person", "ada", "--set", "plan=silver", "--set", "kids=[2]", "--because", "she rang")
    assert "  plan = silver  (correction, " in told
    said(shop, "person", "ada", "--set", "plan=", "--because", "she rang again")
    assert "plan" not in shop.there.engine.facts([0])[0].traits
    for words, message in (
        (["--set", "plan", "--because", "x"], "says no value"),
        (["--set", "plan=x"], "a reason has 1 to"),
        (["--set", "phone=many", "--because", "x"], "phone"),
    ):
        with pytest.raises(MailwrightError, match=message):
            said(shop, "person", "ada", *words)
