"""Webhooks: what others send us in their own shape, verified and mapped by a declared template."""
