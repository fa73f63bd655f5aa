"""What the seeded shop has defined: products, segments, attributes, mails, forms, and its project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from mailwright.core.instants import parse_iso
from mailwright.decisions.content_rules import ContentRuleDefinition, RowDefinition
from mailwright.decisions.mail import MailDefinition, RecommendDefinition, VariableDefinition
from mailwright.experiments.definitions import ExperimentDefinition, VariantDefinition
from mailwright.ingest.definitions import CatalogDefinition, TrackingPlan
from mailwright.ingest.forms.definitions import FormDefinition
from mailwright.ingest.hooks import IngestRules, Normaliser, Resolve
from mailwright.ingest.identifiers import Seal
from mailwright.ingest.imports import ImportDefinition
from mailwright.ingest.limits import LIMITS, Limits
from mailwright.ingest.lookups import LookupDefinition
from mailwright.ingest.normalise.normaliser import Normaliser as SchemaNormaliser
from mailwright.ingest.schema import AccountsDefinition, ProfileSchema, RollUp, TraitDefinition
from mailwright.ingest.webhooks.definitions import WebhookDefinition
from mailwright.reports.quality.definitions import QualityDefinition
from mailwright.rules.parse import parse
from mailwright.rules.syntax import Expression
from mailwright.runtime.project.asked import asked_rule
from mailwright.runtime.project.load import Project
from mailwright.web.context import Definition

NOW = parse_iso("2017-12-28T13:00:00Z")
START = parse_iso("2017-11-30T00:00:00Z")
PRODUCTS = {
    "1029743": "Whole milk, 1 gallon",
    "1082185": "Bananas",
    "995242": "Skim milk, half gallon",
    "1106523": "Orange juice, not from concentrate",
    "981760": "Large eggs, 12",
    "1127831": "Strawberries, 1 lb",
    "840361": "Sourdough loaf",
}

SEGMENTS = {
    "frequent_buyers": Definition(
        name="frequent_buyers",
        title="Frequent buyers",
        description="Shop at least weekly",
        text="did 'Order Completed' at least 4 times within the last 28 days",
    ),
    "high_value": Definition(
        name="high_value",
        title="High value",
        text="sum of 'Order Completed'.total within the last 90 days >= 500\nand not in segment lapsing",
    ),
    "lapsing": Definition(
        name="lapsing",
        title="Lapsing",
        description="Used to come, and stopped",
        text="orders >= 3 and time since last 'Order Completed' > 21 days",
    ),
    "coupon_lovers": Definition(
        name="coupon_lovers", title="Coupon lovers", text="did 'Coupon Applied' at least 2 times within 90 days"
    ),
    "produce_fans": Definition(
        name="produce_fans",
        title="Produce fans",
        text="most frequent of 'Order Completed'.products.product.department = 'PRODUCE'",
    ),
    "everyone": Definition(name="everyone", title="Everyone with an order", text="did 'Order Completed'"),
}
ATTRIBUTES = {
    "orders": Definition(name="orders", title="Orders", text="count of 'Order Completed'"),
    "spend": Definition(name="spend", title="Spend, all time", text="sum of 'Order Completed'.total"),
    "favourite_department": Definition(name="favourite_department", title="Favourite department", text="..."),
    "since_order": Definition(name="since_order", title="Since the last order", text="...", kind="duration"),
    "first_order": Definition(name="first_order", title="First order", text="...", kind="instant"),
    "engagement": Definition(name="engagement", title="Engagement, 0 to 100", text="..."),
    "recently_bought": Definition(name="recently_bought", title="Recently bought", text="..."),
}
EXPERIMENT = ExperimentDefinition(
    name="personal_offers",
    variants={"popular": VariantDefinition(share=0.5), "personalised": VariantDefinition(share=0.5)},
)
HERO = ContentRuleDefinition(
    title="Hero",
    slot="hero",
    rows=[
        RowDefinition(name="produce", when="in segment produce_fans", use={"headline": "Fresh this week"}),
        RowDefinition(name="frequent", when="in segment frequent_buyers", use={"headline": "Your weekly basket"}),
    ],
    otherwise={"headline": "Offers for your week"},
)
MAIL = MailDefinition(
    template="weekly_offers",
    content_rules=["hero"],
    recommend=RecommendDefinition(sources=["for_you", "popular"], n=4, exclude_recent=True),
    variables={
        "first_name": VariableDefinition(source="trait firstName", fallback="there"),
        "department": VariableDefinition(source="attribute favourite_department", fallback="grocery"),
    },
)


FORMS = {
    "club": msgspec.convert(
        {
            "title": "Our club",
            "fields": [
                {"trait": "email", "label": "E-mail", "type": "email", "required": True},
                {"trait": "firstName", "label": "First name", "worth": 5},
                {"trait": "city", "label": "City", "type": "city", "worth": 4},
                {"trait": "postalCode", "label": "Postal code", "type": "postal_code", "worth": 3},
                {"trait": "birthday", "label": "Birthday", "type": "date", "worth": 2},
            ],
            "at_once": 3,
            "country": "DE",
            "purposes": [{"purpose": "marketing", "wording": "Yes, write to me."}],
            "double_opt_in": {},
        },
        FormDefinition,
    ),
    "plain": msgspec.convert(
        {
            "title": "Short",
            "fields": [
                {"trait": "email", "label": "E-mail", "type": "email", "required": True},
                {"trait": "firstName", "label": "First name"},
            ],
            "purposes": [{"purpose": "marketing", "wording": "Yes, write to me."}],
            "domains": ["shop.example"],
            "redirect": "https://shop.example/thanks",
        },
        FormDefinition,
    ),
    "nps": msgspec.convert(
        {
            "title": "How do you like us?",
            "kind": "survey",
            "fields": [
                {"trait": "score", "label": "Tell friends?", "type": "rating", "required": True},
                {
                    "trait": "sport",
                    "label": "Your sport",
                    "type": "choice",
                    "options": [
                        {"value": "run", "label": "Running", "set": {"interest": "running"}, "tag": "trail"},
                        {"value": "swim", "tag": "water"},
                    ],
                },
            ],
        },
        FormDefinition,
    ),
    "centre": msgspec.convert(
        {
            "title": "Your mail",
            "kind": "preferences",
            "purposes": [{"purpose": "marketing", "wording": "Yes, write to me."}],
            "fields": [{"trait": "city", "label": "City", "type": "city"}],
            "thanks": "Saved.",
        },
        FormDefinition,
    ),
}


@dataclass
class ShopProject:
    """The definitions of the shop, as runtime would show them."""

    name: str = "Corner Grocery"
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("America/New_York"))
    segments: Mapping[str, Definition] = field(default_factory=lambda: SEGMENTS)
    attributes: Mapping[str, Definition] = field(default_factory=lambda: ATTRIBUTES)
    campaigns: Mapping[str, Definition] = field(
        default_factory=lambda: {"weekly_offers": Definition(name="weekly_offers", title="Weekly offers")}
    )
    journeys: Mapping[str, Definition] = field(
        default_factory=lambda: {"win_back": Definition(name="win_back", title="Win-back")}
    )
    models: Mapping[str, Definition] = field(
        default_factory=lambda: {"for_you": Definition(name="for_you", title="For you")}
    )
    experiments: Mapping[str, ExperimentDefinition] = field(default_factory=lambda: {EXPERIMENT.name: EXPERIMENT})
    catalogs: Mapping[str, CatalogDefinition] = field(
        default_factory=lambda: {
            "products": msgspec.convert({"title": "Products", "facts": {"title": "text"}}, CatalogDefinition)
        }
    )
    tracking_plan: TrackingPlan = field(default_factory=TrackingPlan)
    profile: ProfileSchema = field(
        default_factory=lambda: ProfileSchema(
            traits={
                "kids": TraitDefinition(title="Children", type="number", index=True),
                "lastName": TraitDefinition(policy="personal", index=True),
            },
            accounts=AccountsDefinition(rollup={"people": RollUp(people="count", title="People")}),
        )
    )

    @property
    def quality(self) -> QualityDefinition:
        return QualityDefinition()

    @property
    def normaliser(self) -> Normaliser:
        return SchemaNormaliser(self.profile)

    def ingest_rules(self, sealer: Seal, resolve: Resolve | None = None, limits: Limits = LIMITS) -> IngestRules:
        return IngestRules(
            sealer=sealer, plan=self.tracking_plan, normaliser=self.normaliser, resolve=resolve, limits=limits
        )

    forms: Mapping[str, FormDefinition] = field(default_factory=lambda: FORMS)
    webhooks: Mapping[str, WebhookDefinition] = field(default_factory=dict)
    lookups: Mapping[str, LookupDefinition] = field(default_factory=dict)
    imports: Mapping[str, ImportDefinition] = field(default_factory=dict)

    def asked_rule(self, rule: str | Mapping[str, Any], name: str = "") -> Expression:
        parsed = {segment: parse(one.text) for segment, one in self.segments.items()}
        return asked_rule(
            Project(memberships=parsed, expressions={"orders": parse("count of 'Order Completed'")}), rule, name
        )
