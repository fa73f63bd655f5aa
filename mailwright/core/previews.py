"""What a rule would mean in people, before it is applied."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mailwright.core.events import Person
from mailwright.core.instants import Instant

MAX_SAMPLE = 100
"""People that a preview names at most."""


class Count(msgspec.Struct, frozen=True):
    """A number of people: known, or estimated with the ends of a 95 % interval."""

    n: int
    low: int
    high: int

    @classmethod
    def of(cls, n: int) -> Count:
        """A known number."""
        return cls(n, n, n)


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """Who a rule would hold for, as of an instant; nothing is changed by it.

    Attributes:
        at: Of the tick whose state was looked at.
        n_persons: People there are.
        exact: Whether the counts are known rather than estimated.
        size: For whom the rule holds; None as long as not even an estimate is there.
        entering: People for whom it holds and who are not in the segment it was compared with; None as `size`, and
            where it was compared with none.
        leaving: People in that segment for whom it does not hold.
        sample: Some of those for whom it holds, of all ages of profiles; as are the other two.
        missing: Keys of the leaves that it needs and that are not kept live: their past must be folded first.
    """

    at: Instant
    n_persons: int
    exact: bool
    size: Count | None = None
    entering: Count | None = None
    leaving: Count | None = None
    sample: Sequence[Person] = ()
    entering_sample: Sequence[Person] = ()
    leaving_sample: Sequence[Person] = ()
    missing: Sequence[str] = ()

    @property
    def share(self) -> float | None:
        """Of all people; None while there are none."""
        return self.size.n / self.n_persons if self.size and self.n_persons else None
