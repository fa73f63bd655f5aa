"""Personal data: which fields are personal, how they are sealed and hashed, and how links are signed."""

from mailwright.privacy.keys import KeyRing, add_key
from mailwright.privacy.policy import DEFAULT_PERSONAL, PersonalNames
from mailwright.privacy.sealing import Sealer, normalise
from mailwright.privacy.tokens import Purpose, Tokens

__all__ = ["DEFAULT_PERSONAL", "KeyRing", "PersonalNames", "Purpose", "Sealer", "Tokens", "add_key", "normalise"]
