"""The name by which newer device-aware scripts ask for any kind of GPU.

>>> import autograd_lite as ag
>>> ag.accelerator.current_accelerator().type if ag.accelerator.is_available() else "cpu"
'cpu'
"""

from .cuda import device_count, is_available

__all__ = ["device_count", "is_available"]
