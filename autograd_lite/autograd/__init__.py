"""Automatic differentiation: the engine and what users reach it by."""
