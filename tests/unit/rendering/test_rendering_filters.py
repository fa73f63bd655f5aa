"""Filters: what each prints for what it is given."""

from zoneinfo import ZoneInfo

import pytest
from liquid import Markup

from mailwright.core.errors import InvalidInput
from mailwright.rendering.filters import css_value, json_text, safe_url
from mailwright.rendering.liquid_environment import LiquidEnvironment, TemplateEnvironment
from mailwright.rendering.template import Template, compile_template

LIQUID = LiquidEnvironment(TemplateEnvironment(zone=ZoneInfo("Europe/Berlin"), currency="EUR"), {}, escape=False)


def show(template, **variables):
    return LIQUID.from_string(template).render(**variables)


@pytest.mark.parametrize(
    ("value", "arguments", "shown"),
    [
        (3.5, "", "€3.50"),
        (3, "", "€3.00"),
        ("3.50", "", "€3.50"),
        (0, "", "€0.00"),
        (1234567.891, "", "€1,234,567.89"),
        (-2, "", "-€2.00"),
        (-0.001, "", "€0.00"),
        (2.675, ": 'USD'", "$2.68"),
        (0.125, ": 'USD'", "$0.12"),
        (0.135, ": 'USD'", "$0.14"),
        (1250, ": 'JPY'", "¥1,250"),
        (9.9, ": 'CHF'", "CHF 9.90"),
        (3_490_000, ": 'EUR', micro: true", "€3.49"),
        (3_490_000, ": micro: true", "€3.49"),
        (None, "", ""),
        ("free", "", ""),
        (True, "", ""),
        (float("nan"), "", ""),
        (1e300, "", ""),
    ],
)
def test_money(value, arguments, shown):
    assert show("{{ x | money" + arguments + " }}", x=value) == shown


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        ("2026-07-01T22:30:00Z", "%Y-%m-%d %H:%M", "2026-07-02 00:30"),
        ("2026-07-01", "%-d %B", "1 July"),
        ("2026-07-01T10:00:00", "%H:%M", "10:00"),
        (1_782_945_000, "%Y-%m-%d %H:%M", "2026-07-02 00:30"),
        ("now", "%Y-%m-%d", "2026-11-23"),
        ("today", "%A", "Monday"),
        ("no date", "%Y", "no date"),
        (None, "%Y", ""),
    ],
)
def test_dates_are_shown_in_the_projects_zone(value, form, shown):
    if value is None:
        assert show("{{ missing | date: f }}", f=form) == shown
    else:
        assert show("{{ x | date: f }}", x=value, f=form, now="2026-11-22T23:30:00Z") == shown


def test_now_is_never_the_machines():
    with pytest.raises(Exception, match="'now' is not given"):
        show("{{ 'now' | date: '%Y' }}")
    assert show("{{ now }}{{ today }}") == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://example.com/a?b=1&c=2", "https://example.com/a?b=1&amp;c=2"),
        (Markup("https://example.com/a?b=1&amp;c=2"), "https://example.com/a?b=1&amp;c=2"),
        ("HTTP://example.com", "HTTP://example.com"),
        ("mailto:a@example.com", "mailto:a@example.com"),
        ("tel:+491234", "tel:+491234"),
        (" https://example.com/ ", "https://example.com/"),
        ("https://example.com/a b'\"()<>", "https://example.com/a%20b%27%22%28%29%3C%3E"),
        ("https://example.com/%C3%BC", "https://example.com/%C3%BC"),
        ("https://example.com/ü", "https://example.com/%C3%BC"),
        ("javascript:alert(1)", "#"),
        ("JaVaScRiPt:alert(1)", "#"),
        ("java\tscript:alert(1)", "#"),
        ("\x01javascript:alert(1)", "#"),
        (Markup("javascript&#58;alert(1)"), "#"),
        ("data:text/html,x", "#"),
        ("vbscript:x", "#"),
        ("//evil.example", "#"),
        ("file:///etc/passwd", "#"),
        ("/relative", "#"),
        ("", ""),
    ],
)
def test_only_four_schemes_may_come_from_data(value, shown):
    assert safe_url(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("#ff0000", "#ff0000"),
        ("red", "red"),
        ("rgba(1, 2, 3, 0.5)", "rgba(1, 2, 3, 0.5)"),
        ("12px 4%", "12px 4%"),
        ("red;background:url(x)", ""),
        ("url(https://x)", ""),
        ("expression(alert(1))", ""),
        ("rgb(url(x))", ""),
        ('red"onclick="x', ""),
        ("red</style>", ""),
        ("\\75rl(x)", ""),
        ("a" * 201, ""),
    ],
)
def test_styles_from_data(value, shown):
    assert css_value(value) == shown


def test_json_cannot_leave_its_script():
    assert json_text('a"b</script>&') == 'a\\"b\\u003c/script\\u003e\\u0026'
    assert show("{{ x | json }}", x={"a": ["</script>", 1, None]}) == '{"a": ["\\u003c/script\\u003e", 1, null]}'


def test_an_unknown_filter_names_the_nearest():
    with pytest.raises(InvalidInput, match=r"unknown filter 'mony'") as caught:
        compile_template(Template(name="t", subject="{{ price | mony }}", mjml="<mjml><mj-body></mj-body></mjml>"))
    assert "'money'" in caught.value.issues[0].hint


def test_safe_is_no_filter_of_ours():
    assert "safe" not in LIQUID.filters


@pytest.mark.parametrize("order", [("Europe/Berlin", "UTC"), ("UTC", "Europe/Berlin")])
def test_one_instant_is_shown_in_each_projects_own_zone(order):
    shown = {}
    for zone in order:
        liquid = LiquidEnvironment(TemplateEnvironment(zone=ZoneInfo(zone)), {}, escape=False)
        shown[zone] = liquid.from_string("{{ at | date: '%H:%M %z' }}").render(at="2031-01-05T09:00:00Z")
    assert shown == {"Europe/Berlin": "10:00 +0100", "UTC": "09:00 +0000"}
