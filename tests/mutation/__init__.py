"""The mutation run: the package is broken on purpose, one rule at a time, and the suite must notice each time."""
