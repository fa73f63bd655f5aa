"""``mailwright form`` and ``mailwright consent --proof``, as somebody types them."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path[:0] = [str(Path(__file__).parent.parent / "scenarios")]

from running_project import SETTINGS, make_project, opened  # noqa: E402

from mailwright.cli.main import app  # noqa: E402
from mailwright.core.errors import NotFound  # noqa: E402
from mailwright.core.instants import Instant  # noqa: E402
from mailwright.core.ports import OptIn  # noqa: E402
from mailwright.delivery.opt_ins import confirmation  # noqa: E402

ADA = "ada@example.com"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("cli") / "shop", SETTINGS)


def _said(shop: Path, *args: str) -> str:
    ran = CliRunner().invoke(app, [*args, "--project", str(shop)], catch_exceptions=False)
    assert ran.exit_code == 0
    return ran.output


def test_a_form_is_told_where_it_is_and_what_embeds_it(shop: Path) -> None:
    told = _said(shop, "form", "newsletter")
    assert "http://127.0.0.1:8080/f/newsletter\n" in told
    assert '<script src="http://127.0.0.1:8080/forms.js" data-form="newsletter" async></script>' in told
    assert "{{ 'newsletter' | form_url }}" in told
    assert _said(shop, "form", "preferences") == "In a mail:   {{ 'preferences' | preferences_url }}\n"
    with pytest.raises(NotFound, match="newsleter"):
        _said(shop, "form", "newsleter")


def test_a_proof_shows_words_times_mail_and_network(shop: Path) -> None:
    with opened(shop) as there:
        sealer = there.sealer
        opt_in = OptIn(
            id="abc",
            form="newsletter",
            address_hash=sealer.hash_address(ADA),
            address=sealer.seal("email", ADA),
            purposes=[("marketing", "Yes,\n[send] me offers.")],
            identifier="anonymous_id:x",
            asked_at=Instant(0),
            expires_at=Instant(10**12),
            asked_ip=sealer.seal("ip", "192.0.2.7"),
            asked_agent="Firefox",
            wording_version=1,
        )
        assert there.records.opt_ins.ask(opt_in, confirmation(opt_in), most=1, since=Instant(-1))
        mail = there.records.opt_ins.by_ids(["abc"])["abc"].message_id
        there.records.opt_ins.confirm("abc", Instant(1_000_000), None, "", [])
        there.records.opt_ins.keep(replace(opt_in, id="def", asked_at=Instant(2_000_000)), [])
    assert _said(shop, "consent", ADA.upper(), "--proof").splitlines()[2:] == [
        "Form newsletter, proof abc",
        "  asked      1970-01-01T00:00:00Z  from 192.0.2.7, by Firefox",
        "  confirmed  1970-01-01T00:00:01Z",
        f"  mail       {mail}",
        "  wording of version 1 of the definitions",
        "    marketing: Yes, [send] me offers.",
        "Form newsletter, proof def",
        "  asked      1970-01-01T00:00:02Z  from 192.0.2.7, by Firefox",
        "  confirmed  never",
        "  mail       none: the form asks for no confirmation",
        "  wording of version 1 of the definitions",
        "    marketing: Yes, [send] me offers.",
    ]
    assert "No form has a proof for this address." in _said(shop, "consent", "x@example.com", "--proof")
