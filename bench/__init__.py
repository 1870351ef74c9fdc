"""Measurements, run by hand: speed and memory as ratios within one run. Results are in bench/README.md."""
