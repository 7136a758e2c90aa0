"""The cloud's request budget: a token bucket, and the answer of a request that does not fit it."""

import math

from gateway.simulator.errors import Refusal
from gateway.simulator.faults import Faults
from gateway.simulator.times import http_date


class Throttle:
    """A token bucket over the cloud's clock; full at first."""

    def __init__(self, now_ms: int, burst: int) -> None:
        self._tokens = float(burst)
        self._filled_ms = now_ms

    def admit(self, now_ms: int, faults: Faults) -> None:
        """Take one token.

        Raises:
            Refusal: 429 when there is none, with the Retry-After that the knobs ask for.
        """
        earned = max(0, now_ms - self._filled_ms) / 1000 * faults.throttle_rate_per_s
        self._tokens = min(float(faults.throttle_burst), self._tokens + earned)
        self._filled_ms = max(self._filled_ms, now_ms)
        if self._tokens >= 1:
            self._tokens -= 1
            return
        wait_s = math.ceil((1 - self._tokens) / faults.throttle_rate_per_s)
        detail = f"Request was throttled. Expected available in {wait_s} second{'s'[: wait_s != 1]}."
        raise Refusal(429, {"detail": detail}, _headers(wait_s, now_ms, faults))


def _headers(wait_s: int, now_ms: int, faults: Faults) -> dict[str, str]:
    match faults.retry_after:
        case "seconds":
            return {"Retry-After": str(wait_s)}
        case "date":
            return {"Retry-After": http_date(math.ceil(now_ms / 1000) + wait_s)}
        case "absent":
            return {}
        case "negative":
            return {"Retry-After": "-1"}
        case "huge":
            return {"Retry-After": "1000000000"}
