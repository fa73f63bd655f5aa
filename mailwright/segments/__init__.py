"""Named groups of people, each given by one rule."""
