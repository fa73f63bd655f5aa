"""Templates: read once, compiled once per version, rendered per recipient. The face of this package.

template = parse_template("weekly_offers", file_text)
compiled = compile_template(template, snippets, TemplateEnvironment(zone=zone, currency="USD"))
issues = missing_variables(compiled, {"first_name", "hero.headline", "recommendations"})
rendered = compiled.render({"first_name": "Ada", ...})
"""

from mailwright.rendering.compiled import CompiledTemplate, Rendered, VariableUse, missing_variables
from mailwright.rendering.compiler import compile_template
from mailwright.rendering.front_matter import Template, parse_template
from mailwright.rendering.liquid_environment import Limits, TemplateEnvironment

__all__ = [
    "CompiledTemplate",
    "Limits",
    "Rendered",
    "Template",
    "TemplateEnvironment",
    "VariableUse",
    "compile_template",
    "missing_variables",
    "parse_template",
]
