"""Whole nodes on a virtual clock and network, from one seed."""
