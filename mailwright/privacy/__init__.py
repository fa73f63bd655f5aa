"""Personal data: which fields are personal, how they are sealed and hashed, and how links are signed."""

from mailwright.privacy.keys import KeyRing, add_key
from mailwright.privacy.policy import DEFAULT_PERSONAL, PersonalNames
from mailwright.privacy.sealing import Sealer, normalise
from mailwright.privacy.tokens import LinkTokens, Purpose

__all__ = ["DEFAULT_PERSONAL", "KeyRing", "LinkTokens", "PersonalNames", "Purpose", "Sealer", "add_key", "normalise"]
