"""Faults in markup and Liquid: each is told once, with file, line, column and what to do."""

import pytest

from mailwright.core.errors import InvalidInput
from mailwright.rendering.elements import ELEMENTS
from mailwright.rendering.template import Template, compile_template, parse_template


def page(body, head=""):
    return f"<mjml><mj-head>{head}</mj-head><mj-body>\n{body}\n</mj-body></mjml>"


def section(block):
    return page(f"<mj-section><mj-column>\n{block}\n</mj-column></mj-section>")


def issues(mjml, snippets=None):
    with pytest.raises(InvalidInput) as caught:
        compile_template(Template(name="t", subject="s", mjml=mjml), snippets)
    return caught.value.issues


@pytest.mark.parametrize(
    ("mjml", "message", "hint"),
    [
        (section("<mj-txt>a</mj-txt>"), "unknown element <mj-txt>", "did you mean 'mj-text'?"),
        (section('<mj-text colour="red">a</mj-text>'), "<mj-text> has no attribute 'colour'", "did you mean 'color'?"),
        (page("<mj-text>a</mj-text>"), "<mj-text> cannot stand in <mj-body>", "it belongs in <mj-column> or <mj-hero>"),
        (page("<mj-section>\nhello\n</mj-section>"), "text directly in <mj-section> would be lost", "put it in an"),
        (page("<mj-section>{{ x }}</mj-section>"), "text directly in <mj-section> would be lost", "put it in an"),
        (section("<p>a</p>"), "<p> cannot stand directly in <mj-column>", "put HTML in an <mj-text>"),
        (section("<mj-text><mj-image src='a' alt='b' /></mj-text>"), "<mj-image> cannot stand in <mj-text>", ""),
        (section("<mj-text>a"), "<mj-text> is never closed", "add </mj-text>"),
        (section("<mj-text><b>a</mj-text>"), "<b> is never closed", "add </b>"),
        (section("<mj-text>a</b></mj-text>"), "</b> closes nothing that is open", ""),
        (section("<mj-text>a<br></br></mj-text>"), "<br> takes no end tag", ""),
        (section("<mj-text>1 < 2</mj-text>"), "this < begins no element", "write &lt;"),
        (section("<mj-text><![CDATA[x]]></mj-text>"), "this < begins no element", "leave out doctypes"),
        (section("<mj-text color=red>a</mj-text>"), "the value of color is not in quotes", ""),
        (section('<mj-text color="a" color="b">a</mj-text>'), "color is given twice", ""),
        (section("<mj-text><a title='a\"b'>a</a></mj-text>"), 'write &quot; for the " inside title', ""),
        (section("<mj-divider width />"), 'width needs a value: width="..."', ""),
        (section('<mj-image src="https://x/" />'), "<mj-image> has no alt", "say what it shows"),
        (section('<mj-image alt="" />'), "<mj-image> has no src", ""),
        (section("<mj-text><script>x</script></mj-text>"), "mail programs drop or block <script>", "remove it"),
        (section('<mj-text><a onclick="x">a</a></mj-text>'), "mail programs run no scripts", "remove it"),
        (section('<mj-text><a href="javascript:x">a</a></mj-text>'), "mail programs run no scripts", "link to a page"),
        (
            section('<mj-social><mj-social-element name="x" href="https://x/">a</mj-social-element></mj-social>'),
            "<mj-social-element> has no src",
            "give the address of its icon",
        ),
        ("<mj-body></mj-body>", "a template is exactly one <mjml> element", ""),
        ("<mjml><mj-head></mj-head></mjml>", "<mjml> has no <mj-body>", ""),
        ("{{ x }}" + page(""), "text outside <mjml> would be lost", ""),
        (section("<mj-text {{ x }}>a</mj-text>"), "Liquid cannot print attributes or names", "print inside"),
        (
            section("<mj-text>{% if a %}b</mj-text>{% endif %}"),
            "{% endif %} is torn from its beginning",
            "its {% if %}",
        ),
        (section('<mj-text color="{% echo x %}">a</mj-text>'), "{% echo %} cannot print a style", "use {{ ... }}"),
    ],
)
def test_faults_of_the_markup(mjml, message, hint):
    found = [issue for issue in issues(mjml) if message in issue.message]
    assert len(found) == 1, [issue.message for issue in issues(mjml)]
    assert hint in found[0].hint
    assert found[0].span is not None


def test_all_faults_are_told_in_the_order_of_the_text():
    mjml = section('<mj-text colour="red">a</mj-text>\n<mj-buton>b</mj-buton>')
    assert [(issue.span.line, issue.span.column) for issue in issues(mjml)] == [(3, 10), (4, 2)]


def test_line_and_caret_are_those_of_the_file():
    text = "---\nsubject: Hello\n---\n<mjml><mj-body>\n  <mj-sektion></mj-sektion>\n</mj-body></mjml>\n"
    with pytest.raises(InvalidInput) as caught:
        compile_template(parse_template("hello", text))
    assert str(caught.value.issues[0]) == (
        "templates/hello.mjml:5:4: unknown element <mj-sektion>\n"
        "      <mj-sektion></mj-sektion>\n"
        "       ^^^^^^^^^^\n"
        "    hint: did you mean 'mj-section'?"
    )


def test_a_fault_in_a_snippet_is_told_in_the_snippet():
    (issue,) = issues(page('<mj-include path="footer" />'), {"footer": "<mj-section>\n<mj-kolumn/>\n</mj-section>"})
    assert (issue.path, issue.span.line, issue.span.column) == ("snippets/footer", 2, 2)


@pytest.mark.parametrize(
    ("subject", "message", "column"),
    [
        ("{{ a | upcas }}", "unknown filter 'upcas'", 18),
        ("{% fi a %}{% endfi %}", "unexpected tag 'fi'", 14),
        ("a{% if a %}b", "{% if a %} has no {% endif %}", 12),
        ("{{ a. }}", "", None),
    ],
)
def test_faults_of_liquid(subject, message, column):
    text = f"---\nsubject: '{subject}'\n---\n{page('')}"
    with pytest.raises(InvalidInput) as caught:
        compile_template(parse_template("t", text))
    issue = caught.value.issues[0]
    assert caught.value.code == "template.liquid"
    assert message in issue.message
    assert issue.path.startswith("templates/t.mjml")
    if column:
        assert (issue.span.line, issue.span.column) == (2, column)


def test_every_element_can_be_used_where_it_belongs():
    for name, kind in ELEMENTS.items():
        assert kind.parents <= ELEMENTS.keys(), name


def test_defaults_may_name_any_element():
    head = '<mj-attributes><mj-all color="red" /><mj-class name="a" width="3px" /><mj-text color="b" /></mj-attributes>'
    compile_template(Template(name="t", subject="s", mjml=page("", head)))
    found = issues(page("", '<mj-attributes><mj-text href="b" /></mj-attributes>'))
    assert [issue.message for issue in found] == ["<mj-text> has no attribute 'href'"]
