"""Experiments of university vision courses on autograd_lite: ``python -m examples.mlp``.

Each file is one experiment, to be read from top to bottom; `common` holds what they share (data, training loop,
figures), `report` runs them all, `compare_torch` runs one on PyTorch. ``--help`` tells the options of each.
"""
