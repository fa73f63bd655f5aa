"""The bytes read back: same words, same headers, no defect, whatever the fields hold."""

import email
import email.policy
import re
from dataclasses import replace
from email.header import decode_header, make_header

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.core.errors import InvalidInput
from mailwright.core.instants import parse_iso
from mailwright.rendering.mime import Mail, assemble

MAIL = Mail(
    message_id="01h9.abc@mail.example.com",
    date_at=parse_iso("2026-11-22T09:30:00Z"),
    from_name="The Corner Shop",
    from_address="news@shop.example.com",
    to_address="ada@example.com",
    subject="Strawberries are back",
    html="<p>Hello</p>\n",
    text="Hello\n",
    reply_to="help@shop.example.com",
    unsubscribe_url="https://mail.example.com/u/abc",
    unsubscribe_mailto="mailto:leave@mail.example.com?subject=abc",
    list_id="offers.shop.example.com",
    list_name="Weekly offers",
    feedback_id="weekly:shop:mailwright",
)
NAMES = [
    "Message-ID",
    "Date",
    "From",
    "To",
    "Subject",
    "Reply-To",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Id",
    "Feedback-ID",
    "Precedence",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
]


def read(body):
    message = email.message_from_bytes(body, policy=email.policy.default)
    for part in message.walk():
        assert part.defects == []
        for name, value in part.items():
            assert value.defects == (), (name, value)
    return message


def display_name(body):
    """The recipient's name as RFC 2047 reads it (the newer parser puts blanks between adjacent encoded words)."""
    raw = email.message_from_bytes(body, policy=email.policy.compat32)["to"]
    phrase = raw.rpartition("<")[0].replace("\r\n", "").strip() if "<" in raw else ""
    if phrase.startswith('"'):
        return phrase[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return str(make_header(decode_header(phrase)))


def test_it_reads_back_as_it_was_written():
    message = read(assemble(MAIL))
    assert message.keys() == NAMES
    assert message["message-id"] == "<01h9.abc@mail.example.com>"
    assert message["date"].datetime.isoformat() == "2026-11-22T09:30:00+00:00"
    assert str(message["from"]) == "The Corner Shop <news@shop.example.com>"
    assert message["list-unsubscribe"] == (
        "<https://mail.example.com/u/abc>, <mailto:leave@mail.example.com?subject=abc>"
    )
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert message["list-id"] == "Weekly offers <offers.shop.example.com>"
    assert message["precedence"] == "bulk"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message.get_body(("html",)).get_content() == "<p>Hello</p>\r\n"


def test_optional_headers_are_left_out():
    plain = replace(
        MAIL, reply_to="", unsubscribe_url="", unsubscribe_mailto="", list_id="", feedback_id="", bulk=False
    )
    assert read(assemble(plain)).keys() == [*NAMES[:5], "MIME-Version", "Content-Type"]


def test_the_same_mail_gives_the_same_bytes():
    assert assemble(MAIL) == assemble(replace(MAIL))
    assert assemble(MAIL) != assemble(replace(MAIL, message_id="other@mail.example.com"))


@pytest.mark.parametrize("field", ["subject", "from_name", "to_name", "list_name"])
@pytest.mark.parametrize("sign", [*map(chr, [*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029])], ids=ascii)
def test_control_characters_are_refused_in_every_header(field, sign):
    with pytest.raises(InvalidInput, match="control characters") as caught:
        assemble(replace(MAIL, **{field: f"a{sign}Bcc: x@evil.example"}))
    assert caught.value.code == "mail.header"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("to_address", "ada"),
        ("to_address", "ada@example.com, eve@example.com"),
        ("to_address", "ada@example.com>\r\nBcc: eve@example.com"),
        ("to_address", "a..b@example.com"),
        ("to_address", ".a@example.com"),
        ("to_address", "ädä@example.com"),
        ("to_address", "ada@-example.com"),
        ("to_address", "ada@example.com\x00"),
        ("to_address", "ada@example.com\n"),
        ("to_address", ""),
        ("from_address", "<news@shop.example.com>"),
        ("reply_to", "a b@example.com"),
        ("message_id", "no-at-sign"),
        ("message_id", "a@b>\r\nX: y"),
        ("unsubscribe_url", "javascript:alert(1)"),
        ("unsubscribe_url", "https://example.com/a b"),
        ("unsubscribe_url", "https://example.com/ü"),
        ("unsubscribe_url", "https://example.com/>,<https://evil.example/"),
        ("unsubscribe_url", "https://example.com/" + "a" * 1000),
        ("unsubscribe_mailto", "leave@example.com"),
        ("list_id", "two words"),
        ("feedback_id", "a\r\nb"),
        ("subject", "a\ud800b"),
    ],
)
def test_what_no_header_can_carry_is_refused(field, value):
    with pytest.raises(InvalidInput) as caught:
        assemble(replace(MAIL, **{field: value}))
    assert caught.value.code == "mail.header"


def test_an_international_domain_is_written_in_ascii():
    assert read(assemble(replace(MAIL, to_address="ada@bücher.example")))["to"] == "ada@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "subject",
    [
        "Plain",
        "Grüße an Ädä",
        "=?utf-8?q?not_encoded?=",
        "double  blank",
        " edges ",
        "emoji 🍓🍓🍓 " * 20,
        "long words " * 40,
        "x" * 300,
        'a: b; c, (d) "e" <f@g.example> \\',
        "",
    ],
)
def test_subjects_keep_every_character(subject):
    assert str(read(assemble(replace(MAIL, subject=subject)))["subject"]) == subject


@pytest.mark.parametrize(
    "name",
    ["Ada", 'Ada "the first" \\ L.', "Lovelace, Ada (Countess)", "Ädä", "名前" * 30, "a=?b?=", "ada@example.com"],
)
def test_names_keep_every_character(name):
    body = assemble(replace(MAIL, to_name=name))
    assert [address.addr_spec for address in read(body)["to"].addresses] == ["ada@example.com"]
    assert display_name(body) == name


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_bodies_are_normalised(end):
    body = assemble(replace(MAIL, text=f"one{end}two{end}.{end}three"))
    raw = read(body).get_body(("plain",)).get_payload(decode=True)
    assert raw == b"one\r\ntwo\r\n.\r\nthree"


any_text = st.text(max_size=200)
printable = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200)


@settings(max_examples=100, deadline=None)
@given(subject=any_text, from_name=any_text, to_name=any_text, list_name=any_text)
def test_no_text_makes_a_header_or_another_recipient(subject, from_name, to_name, list_name):
    mail = replace(MAIL, subject=subject, from_name=from_name, to_name=to_name, list_name=list_name)
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", subject + from_name + to_name + list_name):
        with pytest.raises(InvalidInput, match="control characters"):
            assemble(mail)
        return
    body = assemble(mail)
    message = email.message_from_bytes(body, policy=email.policy.default)
    assert message.keys() == NAMES
    assert [a.addr_spec for a in message["to"].addresses] == ["ada@example.com"]
    assert [a.addr_spec for a in message["from"].addresses] == ["news@shop.example.com"]


@settings(max_examples=100, deadline=None)
@given(subject=printable, name=printable.map(str.strip), text=any_text, html=any_text)
def test_printable_text_survives_without_defects(subject, name, text, html):
    body = assemble(replace(MAIL, subject=subject, to_name=name, text=text, html=html))
    lines = body.split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert b"\r" not in b"".join(lines)
    assert b"\n" not in b"".join(lines)
    message = read(body)
    assert str(message["subject"]) == subject
    assert display_name(body) == name
