"""Thalweg: train hundreds of what-ifs of a model as one program."""

__version__ = "0.1.0"
