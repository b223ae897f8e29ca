"""What tests, benches and the demo stand on: hosts in namespaces, simulated worlds, fake tools."""
