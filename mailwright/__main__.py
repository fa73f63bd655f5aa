"""``python -m mailwright`` is the command line."""

from mailwright.cli.main import run

run()
