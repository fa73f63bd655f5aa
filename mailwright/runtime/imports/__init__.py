"""Imports: rows from files, databases and exports are read once, checked and sealed into a spool, and then delivered.

A spool is whole or not there, so an import with faults leaves nothing behind, and one that is killed goes on where it
was. Deliveries give way to live events.
"""
