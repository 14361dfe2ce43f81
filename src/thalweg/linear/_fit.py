"""Whole paths: one call for every family, kind of input and size."""

from __future__ import annotations
