"""The Records ports over SQL, one module per port; `mailwright.stores.records_sql` puts them together."""
