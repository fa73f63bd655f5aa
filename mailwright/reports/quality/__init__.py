"""Data quality: what looks wrong in the events and profiles of a shop, with an example and what to do about it."""
