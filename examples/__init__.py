"""Experiments of university vision courses on autograd_lite: ``python -m examples.mlp``."""
