"""The indicators: what each one means, in words and in sums. Each is defined here, once.

An indicator is a function from the ledger to tallies (numerator and denominator by run, scope and variant), declared
with its names, unit, formula in words, source and direction. Its own definition is the variant `standard`; at the one
scope that targets ask for, that row is called `headline`. Other readings of an ambiguous phrase are further variants.
"""

from __future__ import annotations

from importlib import import_module

from analysis.indicators.catalogue import (
    CATALOGUE,
    CLASSES,
    DAYS,
    HEADLINE,
    MINUTES,
    SHARE,
    STANDARD,
    Better,
    Entry,
    Indicator,
    Text,
)

__all__ = [
    "CATALOGUE",
    "CLASSES",
    "DAYS",
    "HEADLINE",
    "MINUTES",
    "SHARE",
    "STANDARD",
    "Better",
    "Entry",
    "Indicator",
    "Text",
]

ROOMS = (
    "visits",
    "stays",
    "waits",
    "exams",
    "referrals",
    "quotas",
    "capability",
    "staff",
    "money",
)
"""In the order of reports."""

for room in ROOMS:
    import_module(f"analysis.indicators.{room}")
