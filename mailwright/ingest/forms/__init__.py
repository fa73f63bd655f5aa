"""Forms and surveys: what a project declares, which fields are asked, what an answer must look like, what it tells."""
