"""Plain values of the mesh: what a Plan, a setting, a seed, a name, an address is."""
