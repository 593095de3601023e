"""What the lab costs, as ratios within one run: ``python -m benchmarks``."""
