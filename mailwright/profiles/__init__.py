"""One profile per person: the identity graph and what is kept per person."""

from mailwright.profiles.definitions import AttributeDefinition
from mailwright.profiles.identity import Belonging, IdentityGraph, Merge, Resolution, key_of
from mailwright.profiles.profile import Profile, ProfileStore

__all__ = [
    "AttributeDefinition",
    "Belonging",
    "IdentityGraph",
    "Merge",
    "Profile",
    "ProfileStore",
    "Resolution",
    "key_of",
]
