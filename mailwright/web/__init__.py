"""HTTP: the door that collects, tracking links, and the pages."""
