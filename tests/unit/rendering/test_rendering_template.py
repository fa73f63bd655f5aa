"""Template files, variables, snippets, and what a compiled template promises."""

import pytest

from mailwright.core.errors import InvalidInput
from mailwright.rendering.template import (
    Template,
    TemplateEnvironment,
    compile_template,
    missing_variables,
    parse_template,
)

EMPTY = "<mjml><mj-body></mj-body></mjml>"


def text_page(block):
    return f"<mjml><mj-body><mj-section><mj-column><mj-text>{block}</mj-text></mj-column></mj-section></mj-body></mjml>"


def template(mjml=EMPTY, **fields):
    return Template(**({"name": "t", "subject": "s", "mjml": mjml} | fields))


def test_a_file_is_front_matter_and_mjml():
    file = "---\nsubject: \"Hi {{ name }}\"\npreheader: 'It''s on'\ntext: |\n  One\n  Two\n---\n" + EMPTY
    read = parse_template("hello", file)
    assert (read.name, read.path) == ("hello", "templates/hello.mjml")
    assert (read.subject, read.preheader, read.text, read.mjml) == ("Hi {{ name }}", "It's on", "One\nTwo\n", EMPTY)


def test_preheader_and_text_may_be_left_out():
    read = parse_template("hello", "\ufeff---\r\nsubject: Hi\r\n---\r\n" + EMPTY)
    assert (read.subject, read.preheader, read.text, read.mjml) == ("Hi", "", None, EMPTY)


@pytest.mark.parametrize(
    ("file", "message", "place"),
    [
        (EMPTY, "no front matter", (1, 1)),
        ("---\nsubject: a\n" + EMPTY, "no front matter", (1, 1)),
        ("---\npreheader: a\n---\n", "no subject", (2, 1)),
        ("---\nsubject: ''\n---\n", "no subject", (2, 1)),
        ("---\nsubject: a\nsubjekt: b\n---\n", "unknown field 'subjekt'", (3, 1)),
        ("---\nsubject: {{ name }}\n---\n", "subject is no text", (2, 1)),
        ("---\nsubject: a: b\n---\n", "no YAML", (2, 11)),
        ("---\n- a\n---\n", "no subject", (2, 1)),
    ],
)
def test_wrong_front_matter(file, message, place):
    with pytest.raises(InvalidInput, match=message) as caught:
        parse_template("t", file)
    span = caught.value.issues[0].span
    assert caught.value.code == "template.front_matter"
    assert (span.line, span.column) == place


def test_variables_are_the_global_ones():
    mjml = text_page(
        "{% assign y = order.total %}"
        "{% for item in items limit: n %}{{ item.title }}{{ y }}{{ forloop.index }}{% endfor %}"
        "{{ person['first_name'] }}{{ list[0].a }}{% render 'card', title: hero.title %}"
    )
    compiled = compile_template(template(mjml, subject="{{ hero.headline }}"), {"card": "{{ title }}{{ hidden }}"})
    assert compiled.variables == {
        "order.total",
        "items",
        "n",
        "person.first_name",
        "list",
        "hero.title",
        "hero.headline",
        "hidden",
    }


@pytest.mark.parametrize(
    ("used", "provided", "missing"),
    [
        ("{{ name }}", {"name"}, []),
        ("{{ name }}", set(), ["name"]),
        ("{{ hero.headline }}", {"hero"}, []),
        ("{{ hero.headline }}", {"hero.headline", "hero.url"}, []),
        ("{{ hero.headlin }}", {"hero.headline", "hero.url"}, ["hero.headlin"]),
        ("{{ hero.headline }}", {"hero", "hero.url"}, ["hero.headline"]),
        ("{% if hero %}{% endif %}", {"hero.headline"}, []),
        ("{{ items.size }}", {"items"}, []),
        ("{{ items.size }}", {"items.title"}, []),
        ("{{ a.b.c }}", {"a.b"}, []),
        ("{{ heroes }}", {"hero"}, ["heroes"]),
        ("{{ hero }}", {"heroes.a"}, ["hero"]),
        ("{{ name | default: 'you' }}", set(), ["name"]),
    ],
)
def test_variables_that_nobody_has(used, provided, missing):
    compiled = compile_template(template(text_page(used)))
    issues = missing_variables(compiled, provided)
    assert [issue.message for issue in issues] == [f"nobody provides the variable '{path}'" for path in missing]


def test_a_missing_variable_is_shown_where_it_is_first_used():
    file = '---\nsubject: "Hi {{ first_nam }}"\n---\n' + EMPTY
    (issue,) = missing_variables(compile_template(parse_template("hello", file)), {"first_name", "hero"})
    assert str(issue) == (
        "templates/hello.mjml:2:17: nobody provides the variable 'first_nam'\n"
        '    subject: "Hi {{ first_nam }}"\n'
        "                    ^^^^^^^^^\n"
        "    hint: did you mean 'first_name'?"
    )


def test_undefined_variables_are_told_after_the_render():
    compiled = compile_template(template(text_page("{{ a }}{{ b.c }}{{ d | default: 'x' }}{{ e }}"), subject="{{ a }}"))
    rendered = compiled.render({"b": {}, "e": None})
    assert rendered.blanks == ("a", "b.c")
    assert rendered.text == "x\n"


@pytest.mark.parametrize(("name", "greeting"), [("Ada", "Hello Ada"), ("", "Hello"), (None, "Hello"), (False, "Hello")])
def test_blank_covers_nothing(name, greeting):
    compiled = compile_template(template(subject="Hello{% if name != blank %} {{ name }}{% endif %}"))
    assert compiled.render({"name": name}).subject == greeting
    assert compile_template(template(subject="{% if x == blank %}b{% endif %}")).render({}).subject == "b"
    assert compile_template(template(subject="{% unless blank == x %}b{% endunless %}")).render({"x": 0}).subject == "b"


def test_blank_is_settled_in_snippets_and_inside_blocks():
    mjml = text_page("{% for i in (1..1) %}{% render 'greet', n: name %}{% endfor %}")
    compiled = compile_template(template(mjml), {"greet": "{% if n == blank %}nobody{% endif %}"})
    assert compiled.render({"name": None}).text == "nobody\n"


def test_snippets_are_included_as_mjml_and_rendered_as_liquid():
    snippets = {
        "footer": '<mj-section><mj-column><mj-include path="line" /></mj-column></mj-section>',
        "line": "<mj-text>Bye {{ name }}{% render 'note', who: name %}</mj-text>",
        "note": '<b title="{{ who }}">&amp; {{ who }}</b>',
    }
    mjml = '<mjml><mj-body><mj-include path="footer" /></mj-body></mjml>'
    rendered = compile_template(template(mjml), snippets).render({"name": "A<b"})
    assert 'Bye A&lt;b<b title="A&lt;b">&amp; A&lt;b</b>' in rendered.html
    assert rendered.text == "Bye A<b& A<b\n"


@pytest.mark.parametrize(
    ("snippets", "message"),
    [
        ({"foter": ""}, "there is no snippet 'footer'"),
        ({"footer": '<mj-include path="footer" />'}, "snippet 'footer' includes itself"),
        ({"footer": '<mj-include path="b" />', "b": '<mj-include path="footer" />'}, "includes itself"),
    ],
)
def test_wrong_snippets(snippets, message):
    mjml = '<mjml><mj-body>\n<mj-include path="footer" />\n</mj-body></mjml>'
    with pytest.raises(InvalidInput, match=message) as caught:
        compile_template(template(mjml), snippets)
    assert caught.value.code == "template.snippet"


def test_a_snippet_with_elements_rendered_by_liquid_is_compiled_per_recipient():
    card = "<mj-section><mj-column><mj-text>{{ x }}</mj-text></mj-column></mj-section>"
    mjml = "<mjml><mj-body>{% for x in items %}{% render 'card', x: x %}{% endfor %}</mj-body></mjml>"
    compiled = compile_template(template(mjml), {"card": card})
    html = compiled.render({"items": ["one", "two"]}).html
    assert compiled.per_recipient != ()
    assert html.count("mj-column-per-100") >= 2
    assert "<mj-" not in html
    assert ">one<" in html
    assert ">two<" in html


def test_subject_and_preheader_stand_in_the_html():
    compiled = compile_template(template(subject="A & {{ x }}", preheader="P < {{ x }}"))
    html = compiled.render({"x": "<1>"}).html
    assert "<title>A &amp; &lt;1&gt;</title>" in html
    assert "P &lt; &lt;1&gt;" in html
    assert "display:none" in html


def test_an_authors_own_title_and_preview_stay():
    mjml = "<mjml><mj-head><mj-title>Mine</mj-title><mj-preview>Own</mj-preview></mj-head><mj-body></mj-body></mjml>"
    html = compile_template(template(mjml, subject="S", preheader="P")).render({}).html
    assert "<title>Mine</title>" in html
    assert html.count("display:none") == 1
    assert ">Own<" in html


def test_the_version_covers_what_decides_the_output_and_nothing_else():
    snippets = {"a": "<mj-section></mj-section>", "unused": "x"}
    mjml = '<mjml><mj-body><mj-include path="a" /></mj-body></mjml>'

    def version(settings=None, used=snippets, **fields):
        return compile_template(template(**({"mjml": mjml} | fields)), used, settings).version

    base = version()
    assert base == version()
    assert base == version(used=snippets | {"unused": "y"})
    assert base == version(path="elsewhere.mjml")
    others = [
        version(subject="S"),
        version(preheader="p"),
        version(text="t"),
        version(mjml=mjml + " "),
        version(used={"a": "<mj-section/>"}),
        version(settings=TemplateEnvironment(currency="EUR")),
    ]
    assert len({base, *others}) == 7


def test_the_same_variables_give_the_same_bytes():
    mjml = text_page("{{ 'now' | date: '%Y-%m-%d %H:%M' }}{% cycle 'a', 'b' %}{% increment n %}")
    compiled = compile_template(template(mjml))
    first = compiled.render({"now": "2026-11-22T09:00:00Z"})
    assert compiled.render({"now": "2026-11-22T09:00:00Z"}) == first
    assert compile_template(template(mjml)).render({"now": "2026-11-22T09:00:00Z"}) == first
    assert first.text == "2026-11-22 09:00a0\n"


def test_a_fault_while_rendering_names_the_authors_line():
    file = "---\nsubject: s\n---\n" + text_page("\n{{ price | divided_by: zero }}\n")
    compiled = compile_template(parse_template("t", file))
    with pytest.raises(InvalidInput) as caught:
        compiled.render({"price": 3, "zero": 0})
    issue = caught.value.issues[0]
    assert caught.value.code == "template.render"
    assert (issue.path, issue.span.line) == ("templates/t.mjml", 5)


@pytest.mark.parametrize(
    "value", [None, True, 3, 2.5, "x", [], [1, "a", None], {}, {"a": [1]}, [[]], "\ud800"], ids=repr
)
@pytest.mark.parametrize("use", ["{{ x }}", "{% for i in x %}{{ i }}{% endfor %}", "{{ x.a }}{{ x[0] }}{{ x | size }}"])
def test_any_json_value_can_be_printed(value, use):
    rendered = compile_template(template(text_page(use), subject=use)).render({"x": value})
    assert rendered.html.endswith("</html>")
    assert "{{" not in rendered.subject + rendered.html + rendered.text


def test_an_own_text_part_is_used_as_it_is():
    compiled = compile_template(template(text_page("html"), text="Own {{ x }}\n\n\n\nend"))
    assert compiled.render({"x": "<&>"}).text == "Own <&>\n\nend\n"
