"""`wesher doctor`: what is wrong with this host's part of the mesh, and what to do about it."""
