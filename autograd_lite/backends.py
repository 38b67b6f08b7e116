"""Names that scripts ask or set before they begin; nothing here depends on them.

Results are always deterministic, as ``backends.cudnn.deterministic = True`` asks for.

>>> import autograd_lite as ag
>>> ag.backends.mps.is_available()
False
>>> ag.backends.cudnn.benchmark = False
"""

from types import SimpleNamespace

from .cuda import is_available

__all__ = ["cudnn", "mps"]

cudnn = SimpleNamespace(is_available=is_available, enabled=False, deterministic=True, benchmark=False)
mps = SimpleNamespace(is_available=is_available, is_built=is_available)
