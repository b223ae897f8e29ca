"""Measurements of real agents, one file each; `scripts/bench` runs them."""
