"""What a person types."""


def main() -> int:
    """Run the command line; returns the exit code."""
    return 0
