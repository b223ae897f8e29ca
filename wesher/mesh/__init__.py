"""Decisions: what membership means for this host. Pure."""
