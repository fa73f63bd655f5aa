"""Rules over the past: who was in a segment then, what a rule would have done, and why a person is in or not."""
