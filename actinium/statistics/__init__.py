"""The statistics of a report. The seed is the replicate throughout: docs/statistics.md says every formula in words.

Arrays carry their axes as C cells, S seeds, M metrics; NaN marks a trial that is missing or has no such value.
"""
