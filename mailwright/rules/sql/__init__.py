"""Rules as SQL through SQLGlot: DuckDB runs them, Spark's dialect is printed. See `compile` and `relations`."""
