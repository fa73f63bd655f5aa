"""Cross-checks of campaigns and journeys with the rest of the project; rule texts are the rule language's to check."""

from __future__ import annotations

from collections.abc import Mapping

from mailwright.core.errors import Issue, nearest
from mailwright.decisions.check import Names, check_experiment, check_mail
from mailwright.journeys.definitions import CampaignDefinition, JourneyDefinition


def check(
    campaigns: Mapping[str, CampaignDefinition], journeys: Mapping[str, JourneyDefinition], names: Names
) -> list[Issue]:
    """Names that nothing defines, and experiments that share one name."""
    issues: list[Issue] = []
    for name, campaign in campaigns.items():
        issues += _campaign(name, campaign, names)
    for name, journey in journeys.items():
        issues += _journey(name, journey, names)
    return issues + _shared_experiments(campaigns, journeys)


def _campaign(name: str, campaign: CampaignDefinition, names: Names) -> list[Issue]:
    path = f"campaigns/{name}.yaml: "
    issues = check_mail(campaign.mail, names, f"{path}mail")
    if campaign.experiment:
        issues += check_experiment(campaign.mail, campaign.experiment, names, path.rstrip())
    return issues


def _journey(name: str, journey: JourneyDefinition, names: Names) -> list[Issue]:
    path = f"journeys/{name}.yaml: "
    issues: list[Issue] = []
    segment = journey.trigger.segment
    if segment not in names.segments:
        message = f"there is no segment {segment!r}"
        issues.append(Issue(path=f"{path}trigger", message=message, hint=nearest(segment, names.segments)))
    for step_name, step in journey.named_steps().items():
        if step.mail:
            issues += check_mail(step.mail, names, f"{path}steps.{step_name}.mail")
            if step.experiment:
                issues += check_experiment(step.mail, step.experiment, names, f"{path}steps.{step_name}")
    return issues


def _shared_experiments(
    campaigns: Mapping[str, CampaignDefinition], journeys: Mapping[str, JourneyDefinition]
) -> list[Issue]:
    places: dict[str, list[str]] = {}
    for name, campaign in campaigns.items():
        if campaign.experiment:
            places.setdefault(campaign.experiment.name, []).append(f"campaigns/{name}.yaml")
    for name, journey in journeys.items():
        for step in journey.steps:
            if step.experiment:
                places.setdefault(step.experiment.name, []).append(f"journeys/{name}.yaml")
    return [
        Issue(
            path=where[-1],
            message=f"experiment {name!r} is also in {where[0]}",
            hint="give each its own name: it decides who gets which variant",
        )
        for name, where in places.items()
        if len(where) > 1
    ]
