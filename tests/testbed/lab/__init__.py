"""Hosts in network namespaces, the daemons on them, and what can be done to both."""
