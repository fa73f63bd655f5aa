"""Previews in a process of their own: the same answers, and an end to everything else."""

from datetime import timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from mailwright.core.errors import InvalidInput, Permanent
from mailwright.rendering.sandbox import SandboxLimits, preview
from mailwright.rendering.template import Limits, TemplateEnvironment, compile_template, parse_template

BERLIN = TemplateEnvironment(zone=ZoneInfo("Europe/Berlin"), currency="EUR")
BOUNDLESS = TemplateEnvironment(
    limits=Limits(loop_iterations=10**12, output_chars=10**12, string_chars=10**12, list_items=10**12, work=10**15)
)
PATIENT = SandboxLimits(cpu_s=60, wall_s=240)
"""However slow and busy the machine is."""


def file(block, subject="Hi {{ name }}"):
    return (
        f'---\nsubject: "{subject}"\n---\n<mjml><mj-body><mj-section><mj-column><mj-text>{block}</mj-text>'
        "</mj-column></mj-section></mj-body></mjml>"
    )


def test_a_preview_is_what_a_render_is():
    source = file("{{ price | money }} {{ 'now' | date: '%H:%M' }} {% render 'bye' %} {{ nobody }}")
    variables = {"name": "Ada", "price": 3.5, "now": "2026-11-22T09:00:00Z"}
    snippets = {"bye": "Bye"}
    expected = compile_template(parse_template("t", source), snippets, BERLIN).render(variables)
    assert preview("t", source, variables, snippets, BERLIN, PATIENT) == expected
    assert expected.text == "€3.50 10:00 Bye\n"
    assert expected.blanks == ("nobody",)


def test_a_fault_is_told_as_ever():
    with pytest.raises(InvalidInput) as caught:
        preview("t", file("{{ x | upcas }}"), {}, limits=PATIENT)
    with pytest.raises(InvalidInput) as direct:
        compile_template(parse_template("t", file("{{ x | upcas }}")))
    assert caught.value.code == "template.liquid"
    assert caught.value.issues == direct.value.issues


@pytest.mark.parametrize(
    ("block", "limits", "message"),
    [
        ("{% for i in (1..999999999) %}{% endfor %}", SandboxLimits(cpu_s=1, wall_s=240), "1 s of processor time"),
        ("{% for i in (1..999999999) %}{% endfor %}", SandboxLimits(wall_s=0.5, cpu_s=60), "longer than 0.5 s"),
        (
            "{{ (1..99999999) | reverse | first }}",
            SandboxLimits(cpu_s=60, wall_s=240, memory_mib=400),
            "more than 400 MiB",
        ),
    ],
)
def test_what_our_own_limits_let_through_is_ended(block, limits, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        preview("t", file(block), {}, {}, BOUNDLESS, limits)
    assert caught.value.code == "template.limit"


def test_a_process_that_cannot_work_is_no_fault_of_the_author():
    with pytest.raises(Permanent, match="could not run") as caught:
        preview("t", file("x"), {}, {}, TemplateEnvironment(zone=timezone(timedelta(hours=1))), PATIENT)
    assert caught.value.code == "template.sandbox"
