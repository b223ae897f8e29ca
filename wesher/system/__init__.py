"""Every contact with the world, one thing a file; decides nothing."""
