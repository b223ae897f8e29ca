"""One running node: a MeshNode with real time, real sockets and real effects."""
