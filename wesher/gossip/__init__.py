"""The membership protocol: bytes, time and commands in; packets, streams and events out. Pure."""
