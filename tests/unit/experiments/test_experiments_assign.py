from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwright.experiments.assign import assign
from mailwright.experiments.definitions import ExperimentDefinition, VariantDefinition
from mailwright.experiments.intervals import sample_ratio_p


def variants(**shares: float) -> dict[str, VariantDefinition]:
    return {name: VariantDefinition(share=share) for name, share in shares.items()}


def test_assignment_never_changes() -> None:
    """Pinned: a change of these answers would move people between the arms of running experiments."""
    arms = variants(personalised=0.5, popular=0.5)
    got = [assign("offers", f"user_id:{number}", arms).variant for number in range(8)]
    personal, popular = "personalised", "popular"
    assert got == [personal, popular, personal, popular, personal, personal, personal, personal]


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=100, deadline=None)
def test_the_order_of_writing_does_not_matter(experiment: str, person: str) -> None:
    forth, back = variants(a=0.2, b=0.3, c=0.5), variants(c=0.5, b=0.3, a=0.2)
    assert assign(experiment, person, forth) == assign(experiment, person, back)


def test_shares_are_kept_and_probabilities_logged() -> None:
    arms = variants(a=0.1, b=0.3, c=0.6)
    got = [assign("split", f"user_id:{number}", arms) for number in range(20_000)]
    counts = [sum(one.variant == name for one in got) for name in "abc"]
    assert sample_ratio_p(counts, [0.1, 0.3, 0.6]) > 0.001
    assert {one.probability for one in got if one.variant == "a"} == {0.1}


def test_two_experiments_draw_independently() -> None:
    arms = variants(a=0.5, b=0.5)
    same = sum(
        assign("one", f"user_id:{n}", arms).variant == assign("two", f"user_id:{n}", arms).variant
        for n in range(20_000)
    )
    assert sample_ratio_p([same, 20_000 - same], [0.5, 0.5]) > 0.001


def test_every_point_of_the_line_has_an_arm() -> None:
    thirds = variants(a=1 / 3, b=1 / 3, c=1 / 3)
    assert {assign("thirds", str(n), thirds).variant for n in range(100)} == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"name": "x", "variants": {"a": {"share": 0.5}, "b": {"share": 0.4}}}, "sum to 0.9"),
        ({"name": "x", "variants": {"a": {"share": 1}}}, "variants"),
        ({"name": "x", "variants": {"a": {"share": 0}, "b": {"share": 1}}}, "share"),
        ({"name": "", "variants": {"a": {"share": 0.5}, "b": {"share": 0.5}}}, "name"),
        ({"name": "x", "control": "c", "variants": {"a": {"share": 0.5}, "b": {"share": 0.5}}}, "none of the variants"),
        ({"name": "x", "metric": "love", "variants": {"a": {"share": 0.5}, "b": {"share": 0.5}}}, "metric"),
    ],
)
def test_an_experiment_that_makes_no_sense_is_refused(plain: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(plain, ExperimentDefinition)


def test_ten_tenths_are_one() -> None:
    plain = {"name": "x", "variants": {str(n): {"share": 0.1} for n in range(10)}}
    assert len(msgspec.convert(plain, ExperimentDefinition).variants) == 10


def test_the_control_comes_first() -> None:
    plain = {"name": "x", "control": "b", "variants": {"a": {"share": 0.5}, "b": {"share": 0.3}, "c": {"share": 0.2}}}
    assert msgspec.convert(plain, ExperimentDefinition).arms() == ["b", "a", "c"]
    del plain["control"]
    assert msgspec.convert(plain, ExperimentDefinition).arms() == ["a", "b", "c"]
