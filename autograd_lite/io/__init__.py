"""Saving and loading: safetensors and npz both ways, PyTorch's ``.pth`` files one way, and never any code."""

from .formats import load, save

__all__ = ["load", "save"]
