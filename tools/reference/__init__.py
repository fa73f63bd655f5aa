"""The pages of ``docs/reference/`` and the marked blocks of other pages, made from the code.

``python -m tools.reference`` writes them; ``--check`` tells which are out of date; tests/test_repo.py does the same.
"""
