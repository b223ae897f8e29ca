"""A limit on how often others can make us do something."""


class TokenBucket:
    """Allows `rate` actions a second, and that many at once after a quiet second."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = rate
        self._filled_at = float("-inf")

    def allow(self, now: float) -> bool:
        """Tell whether one more action is within the limit, and count it."""
        filled = self._tokens + (now - self._filled_at) * self._rate
        self._tokens = min(self._rate, filled)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
