"""Numbers, times, money, places and contacts as people write them, and what each becomes."""

import msgspec
import pytest

from mailwright.ingest.normalise import contacts, money, numbers, places, times, units
from mailwright.ingest.normalise.faults import Unfit
from mailwright.ingest.normalise.normaliser import Normaliser
from mailwright.ingest.schema import ProfileSchema


@pytest.mark.parametrize(
    ("value", "decimals", "unit", "sent_in", "wanted"),
    [
        ("12,5", "comma", "", "", 12.5),
        ("1.234.567,5", "comma", "", "", 1234567.5),
        ("1,234", "point", "", "", 1234),
        ("1,5", "point", "", "", None),
        ("1 234,5", "comma", "", "", 1234.5),
        ("−3", "point", "", "", -3),
        ("1e3", "point", "", "", 1000),
        (True, "point", "", "", None),
        ("", "point", "", "", None),
        ("0x10", "point", "", "", None),
        (2**63, "point", "", "", None),
        (72, "point", "cm", "in", 182.88),
        ("72 in", "point", "cm", "", 182.88),
        ("150 lbs", "point", "kg", "", 68.0388555),
        ("98.6 °F", "point", "C", "", 37),
        (1.1, "point", "cm", "m", 110),
        ("5 kg", "point", "cm", "", None),
        ("180", "point", "cm", "mm", 18),
    ],
)
def test_numbers(value, decimals, unit, sent_in, wanted):
    if wanted is None:
        with pytest.raises(Unfit):
            numbers.number(value, decimals, unit, sent_in)
    else:
        made = numbers.number(value, decimals, unit, sent_in)
        assert (made, type(made)) == (wanted, type(wanted))


@pytest.mark.parametrize("name", sorted(units.UNITS))
def test_every_unit_there_and_back_is_exact(name):
    from fractions import Fraction

    for other, unit in units.UNITS.items():
        if unit.kind == units.UNITS[name].kind:
            there = units.converted(Fraction(37, 10), name, other)
            assert units.converted(there, other, name) == Fraction(37, 10)


@pytest.mark.parametrize(
    ("value", "forms", "wanted"),
    [
        ("03.05.1990", ["DD.MM.YYYY"], "1990-05-03"),
        ("3.5.90", ["D.M.YY"], "1990-05-03"),
        ("3.5.68", ["D.M.YY"], "2068-05-03"),
        ("05/03/1990", ["MM/DD/YYYY"], "1990-05-03"),
        ("3 May 1990", ["D MMM YYYY"], "1990-05-03"),
        ("19900503", ["YYYYMMDD"], "1990-05-03"),
        ("22112026", ["DDMMYYYY"], "2026-11-22"),
        ("1990-05-03", ["DD.MM.YYYY"], "1990-05-03"),
        (641692800, ["unix"], "1990-05-03"),
        ("641692800", ["unix"], "1990-05-03"),
        ("31.02.1990", ["DD.MM.YYYY"], None),
        ("03.05.1990", [], None),
        (641692800, [], None),
        ("", ["DD.MM.YYYY"], None),
        (True, ["unix"], None),
    ],
)
def test_dates(value, forms, wanted):
    if wanted is None:
        with pytest.raises(Unfit):
            times.as_date(value, forms, None)
    else:
        assert times.as_date(value, forms, None) == wanted


def test_an_hour_of_summer_time_that_is_not_and_one_that_is_twice():
    from zoneinfo import ZoneInfo

    berlin = ZoneInfo("Europe/Berlin")
    assert times.as_instant("2026-03-29T02:30", [], berlin) == "2026-03-29T01:30:00Z"
    assert times.as_instant("2026-10-25T02:30", [], berlin) == "2026-10-25T00:30:00Z"
    assert times.as_instant("2026-10-25T02:30+01:00", [], berlin) == "2026-10-25T01:30:00Z"


@pytest.mark.parametrize("form", ["DD.MM", "YYYY-DD-MM", "DD.MM.YYYY DD", "Q.MM.YYYY DD", ""])
def test_forms_that_name_no_day_or_look_like_another_are_refused(form):
    assert times.format_fault(form)


@pytest.mark.parametrize(
    ("value", "currency", "minor", "wanted"),
    [
        (1250, "EUR", True, 12.5),
        (1250, "JPY", True, 1250),
        (1250, "KWD", True, 1.25),
        ("1,250 ¥", "JPY", False, 1250),
        ("12.345 KWD", "", False, 12.345),
        ("$12.50", "USD", False, 12.5),
        ("$12.50", "", False, None),
        ("12 kr", "SEK", False, 12),
        ("12.50 USD", "EUR", False, None),
        ({"amount": "3.10", "currency": "eur"}, "", False, 3.1),
        (0.1 + 0.2, "EUR", False, 0.3),
        (12, "", False, None),
        ("-5 EUR", "", False, -5),
        ("- 5 EUR", "", False, None),
    ],
)
def test_money_has_the_minor_units_of_its_currency(value, currency, minor, wanted):
    if wanted is None:
        with pytest.raises(Unfit):
            money.money(value, "point", currency, minor=minor)
    else:
        assert money.money(value, "point", currency, minor=minor)[::2] == (wanted, False)


def test_money_below_the_minor_unit_is_rounded_and_told():
    assert money.money(12.345, "point", "EUR") == (12.34, "EUR", True, None)
    assert money.money(1.5, "point", "JPY") == (2, "JPY", True, None)
    told = []
    total = {"normalise": "money", "currency_from": "currency"}
    normaliser = Normaliser(msgspec.convert({"properties": {"total": total}}, ProfileSchema))
    made = normaliser.properties("web", "Paid", {"total": 12.345, "currency": "EUR"}, lambda *word: told.append(word))
    assert made["total"] == 12.34
    assert told == [("properties.total", "rounded to the minor unit of EUR")]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("de", "DE"),
        ("DEU", "DE"),
        ("276", "DE"),
        (276, "DE"),
        (40, "AT"),
        ("Germany", "DE"),
        ("ALLEMAGNE", "DE"),
        ("Tyskland", "DE"),
        ("ドイツ", "DE"),
        ("Германия", "DE"),
        ("Österreich", "AT"),
        ("Autriche", "AT"),
        ("The Netherlands", "NL"),
        ("U.S.A.", "US"),
        ("uk", "GB"),
        ("Scotland", "GB"),
        ("Côte d’Ivoire", "CI"),
        ("España", "ES"),
        ("日本", "JP"),
        ("XX", None),
        ("Atlantis", None),
        ("EU", None),
        (1.5, None),
        ("", None),
    ],
)
def test_countries_in_several_languages(value, code):
    if code is None:
        with pytest.raises(Unfit):
            places.country(value)
    else:
        assert places.country(value) == code


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("de_DE", "de-DE"),
        ("DE", "de"),
        ("ger", "de"),
        ("Deutsch", "de"),
        ("français", "fr"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("en_US.UTF-8", "en-US"),
        ("iw", "he"),
        ("xx", None),
        ("", None),
        (1, None),
    ],
)
def test_languages(value, tag):
    if tag is None:
        with pytest.raises(Unfit):
            money.language(value)
    else:
        assert money.language(value) == tag


@pytest.mark.parametrize(
    ("of", "value", "wanted"),
    [
        ("DE", 1067, "01067"),
        ("DE", "D-10115", "10115"),
        ("DE", "1011", None),
        ("DE", 123, None),
        ("AT", "1 010", "1010"),
        ("CH", "CH-8001", "8001"),
        ("US", "123456789", "12345-6789"),
        ("US", 501, "00501"),
        ("US", "90210", "90210"),
        ("GB", "sw1a1aa", "SW1A 1AA"),
        ("GB", "M1 1AE", "M1 1AE"),
        ("CA", "k1a0b1", "K1A 0B1"),
        ("CA", "D1A0B1", None),
        ("NL", "1234ab", "1234 AB"),
        ("PL", "00950", "00-950"),
        ("SE", "11455", "114 55"),
        ("JP", "1000001", "100-0001"),
        ("PT", "1000-001", "1000-001"),
        ("IE", "d02af30", "D02 AF30"),
        ("FR", "75 001", "75001"),
        ("LV", "1010", "LV-1010"),
        ("LV", "LV-1010", "LV-1010"),
        ("BR", "01310100", "01310-100"),
        ("", " ab  1 ", "AB 1"),
        ("ZW", "x", "X"),
        ("DE", True, None),
        ("DE", "１０１１５", "10115"),
    ],
)
def test_postal_codes(of, value, wanted):
    if wanted is None:
        with pytest.raises(Unfit):
            places.postal_code(value, of)
    else:
        assert places.postal_code(value, of) == wanted
        assert places.postal_code(wanted, of) == wanted


@pytest.mark.parametrize(
    ("value", "country", "wanted"),
    [
        ("0171 1234567", "DE", "+491711234567"),
        ("(212) 555-2368", "US", "+12125552368"),
        ("212 555 2368", "", None),
        ("555-2368", "US", None),
        ("+44 20 7946 0018", "DE", "+442079460018"),
        ("0044 20 7946 0018", "", "+442079460018"),
        ("+1 212 555 2368 ext. 5", "", None),
        ("call me", "DE", None),
        (1711234567, "DE", "+491711234567"),
        (True, "DE", None),
    ],
)
def test_phones(value, country, wanted):
    if wanted is None:
        with pytest.raises(Unfit):
            contacts.phone(value, country)
    else:
        assert contacts.phone(value, country) == wanted


@pytest.mark.parametrize(
    "value", ["ada", "ada@", "@x.example", "a b@x.example", "ada@x", 5, None, "a" * 400 + "@x.example"]
)
def test_what_is_no_address_is_none(value):
    with pytest.raises(Unfit):
        contacts.email(value)
