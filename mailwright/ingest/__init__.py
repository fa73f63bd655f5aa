"""What comes in: Segment calls, catalog items and files become validated events and items; duplicates are told."""
