"""The vocabulary of MJML: which elements exist, where each may stand, which attributes it takes.

The MJML compiler checks none of this: it renders an unknown element as it stands and ignores an unknown attribute,
so a slip of the pen shows first in a customer's inbox. Source: the MJML 4 component reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HEAD: Final = "mj-head"
BODY: Final = "mj-body"


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementKind:
    """One element of the language.

    Attributes:
        parents: Elements it may stand in; empty for the root.
        attributes: Attributes it takes, without `COMMON`.
        content: ``elements`` (other MJML elements), ``html``, ``text`` (no markup), ``css`` or ``empty``.
    """

    parents: frozenset[str]
    attributes: frozenset[str]
    content: str = "elements"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMON: Final = _words("css-class mj-class lang dir")

_PADDING = "padding padding-top padding-right padding-bottom padding-left"
_BORDER = "border border-top border-right border-bottom border-left border-radius"
_INNER_BORDER = "inner-border inner-border-top inner-border-right inner-border-bottom inner-border-left"
_BACKGROUND = (
    "background-color background-url background-repeat background-size background-position "
    "background-position-x background-position-y"
)
_FONT = "color font-family font-size font-style font-weight letter-spacing line-height text-decoration text-transform"
_LINK = "href rel target title name"
_SECTION = f"{_PADDING} {_BORDER} {_BACKGROUND} direction full-width text-align text-padding"
_BLOCK = f"{_PADDING} container-background-color align"
_IN_COLUMN = _words("mj-column mj-hero")
_FONTS_OF_ICONS = "icon-align icon-height icon-position icon-width icon-wrapped-alt icon-wrapped-url"


def _kind(parents: str, attributes: str = "", content: str = "elements") -> ElementKind:
    return ElementKind(parents=_words(parents), attributes=_words(attributes), content=content)


def _block(attributes: str, content: str = "elements") -> ElementKind:
    return ElementKind(parents=_IN_COLUMN, attributes=_words(f"{_BLOCK} {attributes}"), content=content)


_ACCORDION_ICONS = (
    f"{_FONTS_OF_ICONS} icon-unwrapped-alt icon-unwrapped-url {_PADDING} border container-background-color"
)
_NAVBAR_ICON = (
    "ico-align ico-close ico-color ico-font-family ico-font-size ico-line-height ico-open ico-padding "
    "ico-padding-bottom ico-padding-left ico-padding-right ico-padding-top ico-text-decoration ico-text-transform"
)

ELEMENTS: Final[dict[str, ElementKind]] = {
    "mjml": _kind("", "owa"),
    HEAD: _kind("mjml"),
    BODY: _kind("mjml", "background-color width id"),
    # head
    "mj-attributes": _kind(HEAD),
    "mj-all": ElementKind(parents=_words("mj-attributes"), attributes=frozenset(), content="empty"),
    "mj-class": ElementKind(parents=_words("mj-attributes"), attributes=_words("name"), content="empty"),
    "mj-breakpoint": _kind(HEAD, "width", "empty"),
    "mj-font": _kind(HEAD, "name href", "empty"),
    "mj-html-attributes": _kind(HEAD),
    "mj-selector": _kind("mj-html-attributes", "path"),
    "mj-html-attribute": _kind("mj-selector", "name", "text"),
    "mj-preview": _kind(HEAD, "", "text"),
    "mj-style": _kind(HEAD, "inline", "css"),
    "mj-title": _kind(HEAD, "", "text"),
    # layout
    "mj-wrapper": _kind(BODY, f"{_SECTION} gap"),
    "mj-section": _kind(f"{BODY} mj-wrapper", _SECTION),
    "mj-group": _kind("mj-section", "background-color direction vertical-align width"),
    "mj-column": _kind(
        "mj-section mj-group",
        f"{_PADDING} {_BORDER} {_INNER_BORDER} inner-border-radius inner-background-color background-color "
        "vertical-align width",
    ),
    "mj-hero": _kind(
        f"{BODY} mj-wrapper",
        f"{_PADDING} {_BACKGROUND} background-height background-width border-radius container-background-color height "
        "inner-background-color inner-padding inner-padding-top inner-padding-right inner-padding-bottom "
        "inner-padding-left mode vertical-align width align",
    ),
    "mj-raw": _kind(f"mjml {HEAD} {BODY} mj-wrapper mj-section mj-group mj-column mj-hero", "position", "html"),
    # blocks
    "mj-text": _block(f"{_FONT} height", "html"),
    "mj-button": _block(
        f"{_FONT} {_LINK} {_BORDER} background-color height inner-padding text-align vertical-align width", "html"
    ),
    "mj-image": _block(
        f"{_LINK} {_BORDER} src srcset sizes alt fluid-on-mobile font-size height max-height usemap width", "empty"
    ),
    "mj-divider": _block("border-color border-style border-width width", "empty"),
    "mj-spacer": _block("height", "empty"),
    "mj-table": _block(f"{_FONT} border cellpadding cellspacing role table-layout width", "html"),
    "mj-social": _block(
        f"{_FONT} border-radius icon-height icon-padding icon-size inner-padding mode table-layout text-padding"
    ),
    "mj-social-element": _kind(
        "mj-social",
        f"{_FONT} {_LINK} {_PADDING} align alt background-color border-radius icon-height icon-padding "
        "icon-position icon-size sizes src srcset text-padding vertical-align",
        "html",
    ),
    "mj-navbar": _block(f"base-url hamburger {_NAVBAR_ICON}"),
    "mj-navbar-link": _kind("mj-navbar", f"{_FONT} {_LINK} {_PADDING}", "html"),
    "mj-accordion": _block(f"{_ACCORDION_ICONS} font-family"),
    "mj-accordion-element": _kind("mj-accordion", f"{_ACCORDION_ICONS} background-color font-family"),
    "mj-accordion-title": _kind("mj-accordion-element", f"{_FONT} {_PADDING} background-color", "html"),
    "mj-accordion-text": _kind("mj-accordion-element", f"{_FONT} {_PADDING} background-color", "html"),
    "mj-carousel": _block(
        "border-radius icon-width left-icon right-icon tb-border tb-border-radius tb-hover-border-color "
        "tb-selected-border-color tb-width thumbnails"
    ),
    "mj-carousel-image": _kind(
        "mj-carousel", f"{_LINK} alt border-radius src tb-border tb-border-radius thumbnails-src", "empty"
    ),
}

# mj-attributes sets defaults: any element may stand in it, and mj-all and mj-class take every attribute there is.
EVERY_ATTRIBUTE: Final = COMMON.union(*(kind.attributes for kind in ELEMENTS.values()))

# mrml copies these into its output; all others it computes with (child widths, alignment, Outlook's ghost tables), so
# Liquid in them needs a compile per recipient.
COPIED_ATTRIBUTES: Final = _words(
    "href src srcset alt title rel target name css-class lang color background-color container-background-color "
    "inner-background-color border-color background-url font-family font-size font-style font-weight letter-spacing "
    "line-height text-decoration text-transform text-align"
)
URL_ATTRIBUTES: Final = _words(
    "href src srcset background-url background poster action formaction cite xlink:href base-url thumbnails-src "
    "left-icon right-icon icon-wrapped-url icon-unwrapped-url"
)
PROSE_ATTRIBUTES: Final = _words(
    "alt title rel target name css-class class id lang dir role aria-label aria-hidden aria-describedby datetime value "
    "summary scope headers colspan rowspan"
)
# Their children are laid out by counting them: a raw element between them is refused or miscounted by the compiler.
COUNTED_PARENTS: Final = _words("mj-social mj-navbar mj-accordion mj-accordion-element mj-carousel mj-attributes")
RAW_PARENTS: Final = ELEMENTS["mj-raw"].parents - {"mjml", HEAD}
VOID_HTML: Final = _words("area base br col embed hr img input link meta param source track wbr")
TABLE_HTML: Final = _words("mj-table table thead tbody tfoot tr colgroup")
REFUSED_HTML: Final = _words("script iframe object embed form applet frame frameset")
