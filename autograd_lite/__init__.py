"""autograd_lite: reverse-mode automatic differentiation over Numba kernels, with PyTorch's names."""

from . import autograd as autograd
