"""The columnar fold: live state of every rule over numbered people."""

from mailwright.rules.fold.causes import Change
from mailwright.rules.fold.feeds import Arrival
from mailwright.rules.fold.frozen import Frozen
from mailwright.rules.fold.live import Fold
from mailwright.rules.fold.plan import Rules

__all__ = ["Arrival", "Change", "Fold", "Frozen", "Rules"]
