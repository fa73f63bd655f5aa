"""What an event's context says beside its words: place, device, language, and what brought the visit."""
