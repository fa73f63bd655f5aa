"""MJML to HTML that calls nobody: no web fonts, no foreign icons, styles inlined only where the author says so."""

from __future__ import annotations

import html
import re
from typing import Final

import css_inline
from mjml import mjml2html

from mailwright.core.errors import InvalidInput
from mailwright.rendering.elements import VOID_HTML
from mailwright.rendering.lint import DEPTH_MAX

_INLINE_STYLE: Final = re.compile(
    r"""<mj-style\b[^>]*\binline\s*=\s*["']inline["'][^>]*>(.*?)</mj-style\s*>""", re.DOTALL
)
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG: Final = re.compile(r"""<(/?)([A-Za-z][\w:-]*)(?:[^"'>]|"[^"]*"|'[^']*')*?(/?)>""")


def compile_mjml(mjml: str, *, social_icon_origin: str, path: str) -> str:
    """Compile one MJML document whose vocabulary was checked before.

    Only ``<mj-style inline="inline">`` is inlined, as MJML defines it; without one the HTML is not parsed again.

    Raises:
        InvalidInput: ``template.depth`` if nested deeper than the compiler survives, ``template.mjml`` if it refuses.
    """
    if (depth := _depth(mjml)) > DEPTH_MAX:
        raise InvalidInput.one("template.depth", f"elements are nested {depth} deep; at most {DEPTH_MAX}", path=path)
    css = "\n".join(html.unescape(found) for found in _INLINE_STYLE.findall(mjml))
    try:
        compiled = mjml2html(
            _INLINE_STYLE.sub("", mjml), fonts={}, social_icon_origin=social_icon_origin or "about:blank#"
        )
    except ValueError as error:
        raise InvalidInput.one("template.mjml", f"the MJML compiler refuses it: {error}", path=path) from None
    return _inlined(compiled, css) if css.strip() else compiled


def _inlined(compiled: str, css: str) -> str:
    inliner = css_inline.CSSInliner(
        inline_style_tags=False,
        keep_style_tags=True,
        keep_link_tags=True,
        load_remote_stylesheets=False,
        extra_css=css,
    )
    return inliner.inline(compiled)


def _depth(mjml: str) -> int:
    depth = deepest = 0
    for closing, name, empty in _TAG.findall(_COMMENT.sub("", mjml)):
        if closing:
            depth -= 1
        elif not empty and name not in VOID_HTML:
            depth += 1
            deepest = max(deepest, depth)
    return deepest
