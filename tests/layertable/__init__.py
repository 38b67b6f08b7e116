"""The table of layers: for each class of ``nn`` the options it may be given, drawn, and an independent reference."""

from __future__ import annotations

from . import images, losses, vectors
from .trial import Trial

LAYERS = {**vectors.LAYERS, **images.LAYERS, **losses.LAYERS}

__all__ = ["LAYERS", "Trial"]
