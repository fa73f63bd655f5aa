"""What forms say by themselves, in the languages that we speak; whoever declares a form may put every text otherwise.

A text may hold values in braces, the same ones in every language: ``{country}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel import Locale

_EN = {
    # what is wrong with an answer
    "missing": "this is needed",
    "missing_choice": "choose an answer",
    "missing_box": "tick this box to go on",
    "no_text": "write it as plain text",
    "too_long": "that is too long: {most} characters are taken",
    "no_address": "this is no e-mail address: write it like name@example.com",
    "odd_letters": "mail cannot be sent to letters such as these before the @",
    "refused_domain": "addresses of this domain are not taken",
    "throw_away": "this is a throw-away address: use one that you keep",
    "office": "this address belongs to an office: use your own",
    "office_warning": "this looks like an address of an office",
    "dead_domain": "the domain {domain} takes no mail",
    "one_of": "choose one of the answers",
    "among": "choose among the answers",
    "no_postal_code": "this is no postal code",
    "no_postal_code_of": "this is no postal code of {country}",
    "postal_code_like": "write it like {example}",
    "unknown_postal_code": "there is no postal code {code} in {country}",
    "other_city": "the postal code {code} belongs to {cities}",
    "no_city": "this is no name of a city",
    "no_phone": "this is no phone number",
    "no_phone_country": "this is no phone number: begin with + and the country's code",
    "impossible_phone": "this is no phone number that can exist",
    "no_rating": "choose a number from 0 to 10",
    "no_number": "this is no number",
    "at_least": "it is at least {least}",
    "at_most": "it is at most {most}",
    "no_date": "this is no date: write it like 1990-12-31",
    "not_before": "it is not before {first}",
    "not_after": "it is not after {last}",
    "no_country": "choose a country",
    # why nothing is taken
    "open_too_long": "this page has been open for too long: reload it and send it again",
    "trapped": "a field that people do not see was filled in: reload the page and leave it empty",
    "too_fast": "that was faster than anybody types: wait a moment and send it again",
    "not_taken": "That was not taken.",
    "not_through": "That did not get through: try again.",
    # on the page
    "optional": "optional",
    "did_you_mean": "Did you mean {suggestion}?",
    "look_below": "Please look at what is marked below.",
    "leave_empty": "Leave this empty",
    "privacy": "How we treat your data",
    "button": "Send",
    "thanks": "Thank you.",
    "nearly_done": "Nearly done",
    "look_into_mailbox": "Look into your mailbox and confirm with the link in our mail. "
    "Without that, nothing is sent to you.",
    "nearly_done_text": "Nearly done: look into your mailbox and confirm with the link in our mail.",
    "please_confirm": "Please confirm",
    "asked_on": "On {time} somebody gave your address in the form “{form}”.",
    "button_agrees": "With the button you agree to this:",
    "confirm": "Confirm",
    "not_you": "It was not you? Then close this page: nothing happens.",
    "confirmed": "Confirmed",
    "address_confirmed": "Thank you. Your address is confirmed.",
    "you_agreed": "You agreed to this:",
    "what_you_get": "What you get from us",
    "your_interests": "What interests you",
    "empty_stays": "What you leave empty stays as it is.",
    "link": "Link",
    "link_over": "This link does not work any more",
    "link_over_why": "It has expired, or was cut off on its way. Fill in the form again, "
    "or open the link from the mail itself.",
}

_DE = {
    "missing": "das wird gebraucht",
    "missing_choice": "bitte eine Antwort wählen",
    "missing_box": "bitte ankreuzen, um fortzufahren",
    "no_text": "bitte als einfachen Text schreiben",
    "too_long": "das ist zu lang: höchstens {most} Zeichen",
    "no_address": "das ist keine E-Mail-Adresse: bitte schreiben wie name@example.com",
    "odd_letters": "mit solchen Buchstaben vor dem @ lässt sich keine Mail zustellen",
    "refused_domain": "Adressen dieser Domain werden nicht angenommen",
    "throw_away": "das ist eine Wegwerf-Adresse: bitte eine angeben, die bleibt",
    "office": "diese Adresse gehört einem Büro: bitte die eigene angeben",
    "office_warning": "das sieht aus wie die Adresse eines Büros",
    "dead_domain": "die Domain {domain} nimmt keine Mail an",
    "one_of": "bitte eine der Antworten wählen",
    "among": "bitte unter den Antworten wählen",
    "no_postal_code": "das ist keine Postleitzahl",
    "no_postal_code_of": "das ist keine Postleitzahl ({country})",
    "postal_code_like": "bitte schreiben wie {example}",
    "unknown_postal_code": "die Postleitzahl {code} gibt es nicht ({country})",
    "other_city": "die Postleitzahl {code} gehört zu {cities}",
    "no_city": "das ist kein Name eines Ortes",
    "no_phone": "das ist keine Telefonnummer",
    "no_phone_country": "das ist keine Telefonnummer: bitte mit + und der Ländervorwahl beginnen",
    "impossible_phone": "diese Telefonnummer kann es nicht geben",
    "no_rating": "bitte eine Zahl von 0 bis 10 wählen",
    "no_number": "das ist keine Zahl",
    "at_least": "mindestens {least}",
    "at_most": "höchstens {most}",
    "no_date": "das ist kein Datum: bitte schreiben wie 1990-12-31",
    "not_before": "nicht vor {first}",
    "not_after": "nicht nach {last}",
    "no_country": "bitte ein Land wählen",
    "open_too_long": "diese Seite war zu lange offen: bitte neu laden und noch einmal senden",
    "trapped": "ein Feld, das Menschen nicht sehen, war ausgefüllt: bitte die Seite neu laden und es leer lassen",
    "too_fast": "so schnell tippt niemand: bitte einen Moment warten und noch einmal senden",
    "not_taken": "Das wurde nicht angenommen.",
    "not_through": "Das kam nicht an: bitte noch einmal versuchen.",
    "optional": "freiwillig",
    "did_you_mean": "Meinten Sie {suggestion}?",
    "look_below": "Bitte sehen Sie nach, was unten markiert ist.",
    "leave_empty": "Bitte leer lassen",
    "privacy": "Wie wir mit Ihren Daten umgehen",
    "button": "Senden",
    "thanks": "Vielen Dank.",
    "nearly_done": "Fast fertig",
    "look_into_mailbox": "Bitte sehen Sie in Ihr Postfach und bestätigen Sie mit dem Link in unserer Mail. "
    "Ohne das senden wir Ihnen nichts.",
    "nearly_done_text": "Fast fertig: Bitte sehen Sie in Ihr Postfach und bestätigen Sie mit dem Link in unserer Mail.",
    "please_confirm": "Bitte bestätigen",
    "asked_on": "Am {time} hat jemand Ihre Adresse in das Formular „{form}“ eingetragen.",
    "button_agrees": "Mit dem Knopf stimmen Sie dem hier zu:",
    "confirm": "Bestätigen",
    "not_you": "Das waren nicht Sie? Dann schließen Sie diese Seite: Es geschieht nichts.",
    "confirmed": "Bestätigt",
    "address_confirmed": "Vielen Dank. Ihre Adresse ist bestätigt.",
    "you_agreed": "Sie haben dem hier zugestimmt:",
    "what_you_get": "Was Sie von uns bekommen",
    "your_interests": "Was Sie interessiert",
    "empty_stays": "Was Sie leer lassen, bleibt, wie es ist.",
    "link": "Link",
    "link_over": "Dieser Link gilt nicht mehr",
    "link_over_why": "Er ist abgelaufen oder unterwegs abgeschnitten worden. Füllen Sie das Formular noch einmal aus, "
    "oder öffnen Sie den Link aus der Mail selbst.",
}

OUR_TEXTS: Mapping[str, Mapping[str, str]] = {"en": _EN, "de": _DE}
"""Language -> name -> text. English has every text; what another language lacks is English."""

_HOLE = re.compile(r"\{(\w+)\}")


def holes(text: str) -> frozenset[str]:
    """The names of the values in a text."""
    return frozenset(_HOLE.findall(text))


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language, with some put otherwise. Called with a name and values, it gives the text.

    Attributes:
        language: As in HTML's ``lang``; of one that we do not speak (``de-AT``) the part before the hyphen counts.
        own: Name -> text that stands in place of ours.
    """

    language: str = "en"
    own: Mapping[str, str] | None = None

    def __call__(self, name: str, /, **values: object) -> str:
        """A text with its values.

        Raises:
            KeyError: If there is none of that name, or a value is missing.
        """
        return _HOLE.sub(lambda hole: str(values[hole[1]]), self.open(name))

    def open(self, name: str) -> str:
        """A text with its values left open."""
        if self.own and name in self.own:
            return self.own[name]
        ours = OUR_TEXTS.get(self.language.lower()) or OUR_TEXTS.get(self.language.lower().partition("-")[0], _EN)
        return ours.get(name, _EN[name])


def check_texts(texts: Mapping[str, str]) -> None:
    """Raise ValueError for a text that nothing says, or one with values that it does not get."""
    for name, text in texts.items():
        if name not in _EN:
            raise ValueError(f"there is no text {name!r}; there are {', '.join(_EN)}")
        if unknown := holes(text) - holes(_EN[name]):
            known = ", ".join(f"{{{each}}}" for each in sorted(holes(_EN[name]))) or "none"
            raise ValueError(f"text {name!r} has {{{min(unknown)}}}; its values: {known}")


def locale_of(language: str) -> Locale:
    """How a language names countries and months; English for one that nobody knows."""
    from babel import Locale, UnknownLocaleError  # its data takes a moment to load, which most processes need not wait

    try:
        return Locale.parse(language.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale("en")


def preferred(declared: list[str], accepted: str) -> str:
    """Of the declared languages the one that a browser likes best, by its Accept-Language; else the first.

    ``de-AT`` is served by ``de``, and ``de`` by ``de-CH``.
    """
    for wanted in _by_liking(accepted):
        for fits in (_is_same, _is_kin):
            found = next((each for each in declared if fits(each.lower(), wanted)), None)
            if found is not None:
                return found
    return declared[0]


def _is_same(declared: str, wanted: str) -> bool:
    return declared == wanted


def _is_kin(declared: str, wanted: str) -> bool:
    return declared.partition("-")[0] == wanted.partition("-")[0]


def _by_liking(accepted: str) -> list[str]:
    """Languages in lower case, liked best first; those that are not wanted at all are left out."""
    found: list[tuple[float, str]] = []
    for part in accepted[:400].lower().split(","):
        tag, _, rest = part.strip().partition(";")
        try:
            weight = float(rest.partition("=")[2]) if rest else 1.0
        except ValueError:
            weight = 0.0
        if tag.strip() and 0 < weight <= 1:
            found.append((weight, tag.strip()))
    return [tag for _, tag in sorted(found, key=lambda each: -each[0])]
