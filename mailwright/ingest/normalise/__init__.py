"""Traits, properties and accounts' traits in one form, whatever their source's formats, units and names."""
