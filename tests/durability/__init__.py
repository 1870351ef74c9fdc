"""Trouble made for a run on purpose: `make durability` makes much of it, the test suite a little.

The writers are processes of their own (child.py) that report what they were told is durable; one module for each kind
of trouble counts what became of it. Only what the store and the recorder offer to everybody is used.
"""
