"""Learning-rate schedules: they set ``lr`` in the optimizer's parameter groups, once per ``step()``.

As in PyTorch most schedules are *chainable*: the new rate follows from the present one, so that schedules
can be combined and rates changed by hand in between. What each amounts to when nothing else changes the
rate is its closed form, given in its docstring for epoch ``t`` and initial rate ``lr``.
"""

from .base import LambdaLR, LRScheduler, MultiplicativeLR
from .combined import ChainedScheduler, SequentialLR
from .cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR
from .decay import ConstantLR, ExponentialLR, LinearLR, MultiStepLR, PolynomialLR, StepLR
from .plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
