"""Template bombs: each ends in an error that names a limit, before it used memory or time worth speaking of."""

import resource

import pytest

from mailwright.core.errors import InvalidInput
from mailwright.rendering.template import Limits, Template, TemplateEnvironment, compile_template

REPEAT = "{% for i in (1..60) %}"
GROW = "{% assign x = 'aaaaaaaaaa' %}"
BOMBS = {
    "range reversed": "{{ (1..30000000) | reverse | first }}",
    "range joined": "{{ (1..3000000) | join }}",
    "range sorted": "{{ (1..99999999) | sort | size }}",
    "range in concat": "{{ list | concat: b | size }}{{ list | concat: (1..9999999) | size }}",
    "range in map": "{{ (1..9999999) | map: 'x' | size }}",
    "range from data": "{{ (1..n) | reverse | size }}",
    "long loop": "{% for i in (1..100000000) %}x{% endfor %}",
    "loop in loop": "{% for i in (1..1000) %}{% for j in (1..1000) %}x{% endfor %}{% endfor %}",
    "loop after loop": "{% for i in (1..6000) %}{% endfor %}" * 2,
    "empty loops": "{% for i in (1..200) %}{% for j in (1..200) %}{% endfor %}{% endfor %}",
    "tablerow": "{% tablerow i in (1..1000000) cols:2 %}x{% endtablerow %}",
    "replace tenfold": GROW + "{% for i in (1..9) %}{% assign x = x | replace: 'a', 'aaaaaaaaaa' %}{% endfor %}",
    "replace nothing": GROW + "{% for i in (1..20) %}{% assign x = x | replace: '', x %}{% endfor %}",
    "append itself": GROW + "{% for i in (1..40) %}{% assign x = x | append: x %}{% endfor %}",
    "prepend itself": GROW + "{% for i in (1..40) %}{% assign x = x | prepend: x %}{% endfor %}",
    "capture doubled": GROW + "{% for i in (1..40) %}{% capture x %}{{ x }}{{ x }}{% endcapture %}{% endfor %}",
    "join with a book": "{{ list | join: book }}",
    "split a book": "{{ book | append: book | split: '' | size }}",
    "concat doubled": "{% for i in (1..40) %}{% assign list = list | concat: list %}{% endfor %}",
    "numbers squared": "{% assign x = 999999999 %}" + REPEAT + "{% assign x = x | times: x %}{% endfor %}{{ x }}",
    "base64 chain": "{% assign x = book %}{% for i in (1..60) %}{% assign x = x | base64_encode %}{% endfor %}",
    "escape chain": "{% assign x = book %}{% for i in (1..600) %}{% assign x = x | escape | append: '<' %}{% endfor %}",
    "url chain": "{% assign x = book | replace: 'a', '%' %}" + REPEAT + "{% assign x = x | url_encode %}{% endfor %}",
    "newlines": "{% assign x = lines %}" + REPEAT + "{% assign x = x | newline_to_br | newline_to_br %}{% endfor %}",
    "work without growth": "{% for i in (1..5000) %}{% assign x = book | upcase %}{% endfor %}",
    "output": "{% for i in (1..5000) %}{{ book }}{% endfor %}",
    "snippet in itself": "{% render 'self' %}",
    "snippets in each other": "{% render 'ping' %}",
    "snippet fan": "{% render 'fan' %}",
    "include in itself": "{% include 'loop' %}",
    "uniq": "{% assign a = (1..9000) | reverse | uniq %}{{ a | size }}",
    "cycle loop": "{% for i in (1..99999) %}{% cycle 'a', 'b' %}{% endfor %}",
    "increment loop": "{% for i in (1..99999) %}{% increment n %}{% endfor %}",
    "round to a million digits": "{% for i in (1..99999) %}{{ 1.5 | round: 1000000 }}{% endfor %}",
}
SNIPPETS = {
    "self": "{% render 'self' %}",
    "ping": "{% render 'pong' %}",
    "pong": "{% render 'ping' %}",
    "fan": "{% for i in (1..100) %}{% for j in (1..200) %}x{% endfor %}{% endfor %}",
    "loop": "{% include 'loop' %}",
}
VARIABLES = {"n": 10**9, "book": "a" * 20_000, "lines": "\n" * 20_000, "list": ["abc"] * 100, "b": []}


@pytest.mark.parametrize("part", ["text", "html"])
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_ends_in_an_error(bomb, part):
    page = f"<mjml><mj-body><mj-raw>{bomb if part == 'html' else ''}</mj-raw></mj-body></mjml>"
    template = Template(name="bomb", subject="s", text=bomb if part == "text" else "", mjml=page)
    compiled = compile_template(template, SNIPPETS)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidInput) as caught:
        compiled.render(VARIABLES)
    assert caught.value.code == "template.limit"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 64_000


def test_deep_nesting_never_reaches_the_compiler():
    deep = "<div>" * 20_000 + "</div>" * 20_000
    page = f"<mjml><mj-body><mj-raw>{deep}</mj-raw></mj-body></mjml>"
    with pytest.raises(InvalidInput, match=r"nested 20003 deep; at most 100"):
        compile_template(Template(name="deep", subject="s", mjml=page))


def test_nesting_that_liquid_makes_is_seen_before_the_compiler():
    page = (
        "<mjml><mj-body><mj-section><mj-column><mj-text padding='{{ p }}'>"
        "{% for i in (1..200) %}<b><i>{% endfor %}</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    with pytest.raises(InvalidInput, match="never closed"):
        compile_template(Template(name="deep", subject="s", mjml=page))


def test_deeply_nested_liquid_is_refused():
    blocks = "{% if a %}" * 200 + "{% endif %}" * 200
    with pytest.raises(InvalidInput) as caught:
        compile_template(Template(name="deep", subject=blocks, mjml="<mjml><mj-body></mj-body></mjml>"))
    assert caught.value.code == "template.liquid"


def test_limits_are_the_projects():
    environment = TemplateEnvironment(limits=Limits(loop_iterations=3))
    page = "<mjml><mj-body></mj-body></mjml>"
    template = Template(name="t", subject="s", text="{% for i in (1..n) %}{{ i }}{% endfor %}", mjml=page)
    compiled = compile_template(template, {}, environment)
    assert compiled.render({"n": 3}).text == "123\n"
    with pytest.raises(InvalidInput, match="more than 3 loop iterations"):
        compiled.render({"n": 4})


def test_python_objects_show_nothing_but_themselves():
    page = "<mjml><mj-body></mj-body></mjml>"
    subject = "[{{ a.__class__ }}{{ a.keys }}{{ a.b.__init__ }}{{ l.append }}]"
    compiled = compile_template(Template(name="t", subject=subject, mjml=page))
    assert compiled.render({"a": {"b": "x"}, "l": [1]}).subject == "[]"
