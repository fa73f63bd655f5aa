"""Data quality at work: the monitors and the audit as jobs, and the alerts that they raise."""
