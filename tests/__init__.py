"""The tests. Run them with ``pytest``; for a night's run, ``pytest --hypothesis-profile=thorough``."""
