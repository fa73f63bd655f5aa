"""Numbers that the pages and the report file both show, counted over the ports."""
