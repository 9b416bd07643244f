"""Medians, their spread, and intervals of ratios within rounds."""

import random
import statistics

median = statistics.median


def spread(values, digits):
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def interval(ratios, share=0.95, draws=4000):
    """Of the median, by drawing the rounds anew; the same draws every time."""
    if len(ratios) < 3:
        return min(ratios), max(ratios)
    rng = random.Random(1)
    medians = sorted(median(rng.choices(ratios, k=len(ratios))) for _ in range(draws))
    edge = (1 - share) / 2
    return medians[int(edge * draws)], medians[int((1 - edge) * draws) - 1]


def ratio(ours, theirs):
    """Round by round: (median, low, high)."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True) if b]
    if not ratios:
        return None
    return (median(ratios), *interval(ratios))


def text(found, digits=2):
    if found is None:
        return "-"
    middle, low, high = found
    return f"{middle:.{digits}f} [{low:.{digits}f}-{high:.{digits}f}]"
