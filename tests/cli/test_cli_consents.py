"""``mailwright consent`` and ``mailwright suppress``, as somebody types them."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent.parent / "scenarios")]

from running_project import SETTINGS, done, mailwright, make_project, opened  # noqa: E402

ADA = "ada@example.com"
FORM = ("--purpose", "marketing", "--source", "form")
WORDING = "Yes, [send] me\noffers."


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_project(tmp_path / "shop", SETTINGS)


@pytest.fixture(scope="module")
def quiet_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which nothing is ever recorded."""
    return make_project(tmp_path_factory.mktemp("cli") / "shop", SETTINGS)


def test_a_ledger_is_written_and_shown(shop: Path) -> None:
    here = ("--project", str(shop))
    assert done("consent", ADA, *here) == "Granted now: nothing.\nNot on the suppression list.\n"
    done("consent", ADA, "--grant", *FORM, "--wording", WORDING, "--at", "2026-11-01T10:00:00Z", *here)
    with opened(shop) as there:
        address = there.sealer.seal("email", ADA)["hash"]
        assert there.records.consents.granted([address], "marketing") == {address}
    shown = done("consent", "Ada@EXAMPLE.com", "--withdraw", "--purpose", "marketing", "--source", "phone", *here)
    assert shown == (
        "2026-11-01T10:00:00Z  marketing  granted    form: Yes, [send] me offers.\n"
        "2026-11-02T08:00:00Z  marketing  withdrawn  phone\n"
        "Granted now: nothing.\n"
        "Not on the suppression list.\n"
    )
    assert done("suppress", ADA, "--reason", "complaint", *here) == "On the suppression list: complaint.\n"
    assert done("suppress", ADA, "--reason", "bounce", *here) == "On the suppression list: complaint.\n"
    shown = done("consent", ADA, "--grant", "--purpose", "surveys", "--source", "form", "--wording", "Ask me.", *here)
    assert shown.endswith("Granted now: surveys.\nOn the suppression list: complaint.\n")
    told = done("sources", "--by-day", *here).splitlines()
    assert [line.split() for line in told[1:-1]] == [
        ["2026-11-02", "cli", "consents", *"33000"],
        ["2026-11-02", "cli", "suppressions", *"22000"],
    ]
    assert told[-1] == "cli was last seen 2026-11-02T08:00:00Z"
    assert done("sources", "nobody", *here) == "Nothing came in within 7 days.\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("consent", ADA, "--grant", *FORM), "--wording: a grant needs the wording that the person saw"),
        (("consent", ADA, "--withdraw", "--source", "form"), "--purpose: it has 0 characters"),
        (("consent", ADA, "--withdraw", *FORM, "--at", "2027-01-01"), "--at: 2027-01-01T00:00:00Z lies in the future"),
        (("consent", ADA, *FORM), "hint: add --grant or --withdraw"),
        (("consent", "ada"), "EMAIL: is no e-mail address"),
        (("suppress", ADA, "--reason", " "), "--reason: it has 0 characters"),
        (("suppress", "ada", "--reason", "bounce"), "EMAIL: is no e-mail address"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_recorded(quiet_shop: Path, args: tuple[str, ...], message: str) -> None:
    ran = mailwright(*args, "--project", str(quiet_shop))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: ")
    assert message in ran.stderr
    with opened(quiet_shop) as there:
        address = there.sealer.hash_address(ADA)
        assert there.records.consents.ledger(address) == []
        assert there.records.consents.suppressed([address]) == {}
