"""What the lab costs, as ratios within one run: ``python -m benchmarks``."""

DOCUMENT = [f"experiments/test_{question}.py" for question in ("flags", "ipc", "mount", "pid", "uts")]
"""The files of experiments that repeat the document."""
