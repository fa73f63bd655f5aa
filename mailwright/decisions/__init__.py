"""What to say to whom: content rules, variables, recommendations, experiment arms, and the record of it all."""
