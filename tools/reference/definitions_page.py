"""docs/reference/definitions.md: every field of every definition file."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from mailwright.decisions.content_rules import ContentRuleDefinition, RowDefinition
from mailwright.decisions.mail import MailDefinition, RecommendDefinition, VariableDefinition
from mailwright.experiments.definitions import ExperimentDefinition, VariantDefinition
from mailwright.ingest.definitions import CatalogDefinition, EventPlan, TrackingPlan
from mailwright.ingest.forms.definitions import (
    AddressRules,
    DoubleOptInDefinition,
    FieldDefinition,
    FormDefinition,
    LimitsDefinition,
    OptionDefinition,
    PurposeDefinition,
)
from mailwright.ingest.imports import CursorColumn, Deletes, DltOrigin, ImportDefinition, SqlOrigin
from mailwright.ingest.lookups import LookupDefinition
from mailwright.ingest.mapping import Cell
from mailwright.ingest.schema import (
    AccountsDefinition,
    ProfileSchema,
    RatesDefinition,
    RollUp,
    SourceWays,
    TraitDefinition,
    ValueDefinition,
    Ways,
)
from mailwright.ingest.webhooks.definitions import (
    Challenge,
    ConsentTemplate,
    EventTemplate,
    ItemTemplate,
    SuppressionTemplate,
    WebhookDefinition,
)
from mailwright.ingest.webhooks.verification import Verification
from mailwright.journeys.definitions import (
    CampaignDefinition,
    JourneyDefinition,
    ScheduleDefinition,
    StepDefinition,
    TriggerDefinition,
)
from mailwright.models.definitions import GateDefinition, ModelDefinition
from mailwright.profiles.definitions import AttributeDefinition
from mailwright.profiles.identity_rules import IdentityRules, KindRule, MergeLimits
from mailwright.rules.sugar import Intent, IntentBand, Lifecycle, Rfm, RfmCell
from mailwright.runtime.project.files import FOLDERS, SINGLE_FILES
from mailwright.segments.definitions import SegmentDefinition
from tools.reference.markdown import code, doc_of, table
from tools.reference.types import default_text, title_of, type_text

HEAD = """A project is a folder of text files. This page is made from the types that they are read into, so it holds
every key there is. A wrong key or value is told with file, line, a caret and the nearest right one, and nothing is
applied. Rule texts are written in the [rule language](rules.md); lengths of time as `7 days`."""

TEMPLATE = """## Template

`templates/NAME.mjml`: YAML between two `---` lines, then MJML with Liquid in it.

| key of the front matter | what it is |
|---|---|
| `subject` | Liquid; **required**, and may not come out empty |
| `preheader` | Liquid; what mail programs show beside the subject |
| `text` | Liquid; the text part. Without it the text part is made from the MJML |

Every template gets `unsubscribe_url`, `now`, `sender.name`, `sender.address` and `sender.postal_address`, beside the
variables, `content` and `recommendations` of its mail; that of a form's confirmation mail gets `confirm_url`,
`form_title` and `purposes`. The filters `answer_url`, `form_url` and `preferences_url` link to forms. A mail with a
purpose must show the unsubscribe link and the postal address in both parts, or it is not sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A struct, and where it is written."""

    cls: type[msgspec.Struct]
    where: str


PLACES = (
    Place(cls=AttributeDefinition, where="`attributes.yaml`: name → attribute"),
    Place(cls=Rfm, where="`rfm` of an attribute"),
    Place(cls=RfmCell, where="one of `cells` of `rfm`"),
    Place(cls=Lifecycle, where="`lifecycle` of an attribute"),
    Place(cls=Intent, where="`intent` of an attribute"),
    Place(cls=IntentBand, where="a band of `intent`"),
    Place(cls=SegmentDefinition, where="`segments.yaml`: name → segment"),
    Place(cls=CatalogDefinition, where="`catalog.yaml`: name → catalog"),
    Place(cls=TrackingPlan, where="`tracking-plan.yaml`"),
    Place(cls=EventPlan, where="an event of the tracking plan"),
    Place(cls=ProfileSchema, where="`profile.yaml`"),
    Place(cls=Ways, where="`defaults` of the profile schema"),
    Place(cls=SourceWays, where="a source of the profile schema"),
    Place(cls=TraitDefinition, where="a trait of the profile schema"),
    Place(cls=ValueDefinition, where="a property of the profile schema, a field of an object or the items of a list"),
    Place(cls=AccountsDefinition, where="`accounts` of the profile schema"),
    Place(cls=RatesDefinition, where="`rates` of the profile schema"),
    Place(cls=RollUp, where="a figure of `rollup`"),
    Place(cls=IdentityRules, where="`identity.yaml`"),
    Place(cls=KindRule, where="a kind of `identity.yaml`"),
    Place(cls=MergeLimits, where="`merges` of `identity.yaml`"),
    Place(cls=ContentRuleDefinition, where="`content_rules/NAME.yaml`"),
    Place(cls=RowDefinition, where="a row of a content rule"),
    Place(cls=CampaignDefinition, where="`campaigns/NAME.yaml`"),
    Place(cls=ScheduleDefinition, where="`schedule` of a campaign"),
    Place(cls=JourneyDefinition, where="`journeys/NAME.yaml`"),
    Place(cls=TriggerDefinition, where="`trigger` of a journey"),
    Place(cls=StepDefinition, where="a step of a journey"),
    Place(cls=MailDefinition, where="`mail` of a campaign or of a step"),
    Place(cls=VariableDefinition, where="a variable of a mail"),
    Place(cls=RecommendDefinition, where="`recommend` of a mail"),
    Place(cls=ExperimentDefinition, where="`experiment` of a campaign or of a step"),
    Place(cls=VariantDefinition, where="a variant of an experiment"),
    Place(cls=FormDefinition, where="`forms/NAME.yaml`"),
    Place(cls=FieldDefinition, where="a field of a form"),
    Place(cls=OptionDefinition, where="an option of a field"),
    Place(cls=PurposeDefinition, where="a purpose of a form"),
    Place(cls=DoubleOptInDefinition, where="`double_opt_in` of a form"),
    Place(cls=LimitsDefinition, where="`limits` of a form"),
    Place(cls=AddressRules, where="`addresses` of a form"),
    Place(cls=LookupDefinition, where="`lookups/NAME.yaml`"),
    Place(cls=WebhookDefinition, where="`webhooks/NAME.yaml`"),
    Place(cls=Verification, where="`verify` of a webhook"),
    Place(cls=EventTemplate, where="one of `events` of a webhook"),
    Place(cls=ConsentTemplate, where="one of `consents` of a webhook"),
    Place(cls=SuppressionTemplate, where="one of `suppressions` of a webhook"),
    Place(cls=ItemTemplate, where="one of `items` of a webhook"),
    Place(cls=Challenge, where="`challenge` of a webhook"),
    Place(cls=ModelDefinition, where="`models/NAME.yaml`"),
    Place(cls=GateDefinition, where="`gate` of a model"),
    Place(cls=ImportDefinition, where="`imports/NAME.yaml`"),
    Place(cls=Cell, where="a column of an import"),
    Place(cls=SqlOrigin, where="`sql` of an import"),
    Place(cls=CursorColumn, where="`cursor` of an import"),
    Place(cls=Deletes, where="`deletes` of an import"),
    Place(cls=DltOrigin, where="`dlt` of an import"),
)


def page() -> str:
    """The page's text."""
    files = [*SINGLE_FILES, *(f"{folder}/NAME{suffix}" for folder, suffix in FOLDERS.items())]
    listed = "Files that are read: " + ", ".join(code(name) for name in files) + "."
    return "\n\n".join(["# Definitions", HEAD, listed, *(_place(place) for place in PLACES), TEMPLATE])


def _place(place: Place) -> str:
    doc = doc_of(place.cls)
    parents = [each for each in reversed(place.cls.__mro__) if each.__doc__ and each is not msgspec.Struct]
    help_of = {
        key: text
        for each in parents
        if issubclass(each, msgspec.Struct)
        for key, text in doc_of(each).sections.get("Attributes", {}).items()
    }
    rows = [
        (
            code(field.encode_name),
            type_text(msgspec.inspect.type_info(field.type)),
            default_text(field),
            help_of.get(field.name, ""),
        )
        for field in msgspec.structs.fields(place.cls)
    ]
    grid = table(("key", "type", "default", "what it is"), rows)
    return f"## {title_of(place.cls)}\n\nWritten in {place.where}. {doc.text}\n\n{grid}"
