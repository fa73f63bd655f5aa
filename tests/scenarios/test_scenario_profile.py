"""The profile schema in the whole program: three sources, one person, and no clear text on disk."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from running_project import SETTINGS, Shop, done, make_project, opened, serving  # noqa: E402

from mailwright.runtime.engine.state import EngineState, Folded  # noqa: E402
from mailwright.runtime.project.versions import apply, plan  # noqa: E402
from mailwright.runtime.write_keys import create_key  # noqa: E402

pytestmark = pytest.mark.slow

PROFILE = """
defaults: {country: DE}
traits:
  phone: {normalise: phone, aliases: [Telefon]}
  plan: {}
  crm_no: {index: true}
  pin: {policy: secret}
  religion: {policy: sensitive}
  birthday: {type: date, policy: personal}
sources:
  crm: {names: {Geburtstag: birthday, Nr: crm_no, Geheimzahl: pin}, dates: [DD.MM.YYYY]}
accounts:
  rollup:
    people: {people: count}
"""
CANARIES = ["geheim-7391", "quaker-canary", "1990-05-03", "03.05.1990", "1711234567"]


def test_sources_become_one_person_who_is_found_and_nothing_personal_lies_in_clear_text(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "shop", SETTINGS)
    (folder / "profile.yaml").write_text(PROFILE)
    with opened(folder) as there:
        apply(there, plan(there))
    with serving(folder) as served, opened(folder) as there:
        shop = Shop(there, served)
        crm = Shop(there, served)
        crm.key = create_key(there.records.sources, "crm", server=True, now=there.wall.now())
        told = crm.post(
            "/v1/identify",
            {
                "userId": "c1",
                "messageId": "1",
                "traits": {
                    "Telefon": "0171 / 1234567",
                    "Geburtstag": "03.05.1990",
                    "Nr": 4711,
                    "Geheimzahl": "geheim-7391",
                    "religion": "quaker-canary",
                    "plan": "free",
                },
            },
        )
        assert [(one["index"], one["field"]) for one in told["warned"]] == [(0, "traits.pin")]
        shop.batch(
            [{"type": "identify", "anonymousId": "a1", "messageId": "2", "traits": {"phone": "+49 171 1234567"}}]
        )
        group = {"type": "group", "groupId": "acme", "messageId": "3", "traits": {"plan": "gold"}}
        shop.batch([group | {"anonymousId": "a1"}])
        shop.tick("2026-11-02T09:00:00Z")
        person = shop.get("/v1/people/phone:0049%20171%201234567?history=true")
        assert {one["value"] for one in person["identifiers"]} >= {"c1", "a1"}
        values = {name: one["value"] for name, one in person["traits"].items()}
        assert values["birthday"] == "1990-05-03"
        assert values["religion"] == "quaker-canary"
        assert "pin" not in values
        assert person["accounts"] == ["acme"]
        assert shop.get("/v1/people?trait=crm_no&value=4711")["people"] == [person["person"]]
        assert shop.get("/v1/accounts/acme")["figures"] == {"people": 1}
        here = ("--project", str(folder))
        account = done("account", "acme", *here)
        assert "acme  1 member, told of" in account
        assert "Members: 1" in account
        assert "birthday = 1990-05-03  (crm, " in done("traits", "phone:0171-1234567", *here)
    with serving(folder), opened(folder) as there:  # out of the log again
        assert there.engine.having("crm_no", "4711") == [person["person"]]
        there.engine.flush_history()
        rows = str(there.history.query("SELECT * FROM events").to_pylist())
        state = EngineState(there.blobs.get)
        for record in there.log.read(0, 1000):
            state.apply(record, Folded())
        checkpoints = [data for _, data in state.freeze().parts()]
    stored = b"".join(path.read_bytes() for path in (folder / "data").rglob("*") if path.is_file())
    assert any(b"acme" in blob for blob in checkpoints)
    for canary in CANARIES:
        assert canary not in rows
        assert not [blob for blob in checkpoints if canary.encode() in blob]
        assert canary.encode() not in stored
    assert "acme" in rows
