"""wesher joins hosts into one encrypted WireGuard full mesh."""

__version__ = "1.0.0"
