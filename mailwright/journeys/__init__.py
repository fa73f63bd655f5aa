"""Campaigns and journeys: when whom to write to. Pure functions over rows; the engine loop feeds and stores them."""
