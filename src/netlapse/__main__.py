"""`python -m netlapse`."""

from .cli import main

main()
