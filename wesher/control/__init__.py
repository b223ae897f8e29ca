"""What a running agent tells those who ask: its answers, and the values they are made of."""
