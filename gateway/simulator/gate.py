"""What every request passes before it is handled: delay, the request budget, and random failure."""

import asyncio

from gateway.simulator.bodies import PROXY_ERROR
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.errors import Refusal
from gateway.simulator.outage import Outage


async def admit(cloud: SimulatedCloud, operation: str) -> None:
    """Let a request in.

    Raises:
        Refusal: 429 when the budget is spent, or a 5xx by chance; the request is then not carried out.
        Outage: If one began meanwhile.
    """
    cloud.requests[operation] += 1
    faults, dice = cloud.faults, cloud.dice
    delay_ms = faults.latency_ms + faults.latency_jitter_ms * (2 * dice.random() - 1)
    if delay_ms > 0:
        await asyncio.sleep(delay_ms / 1000)
    if cloud.is_out:
        raise Outage
    cloud.throttle.admit(cloud.now_ms(), cloud.faults)
    if dice.random() < faults.error_fraction:
        body = PROXY_ERROR if faults.error_body == "html" else {"detail": "A server error occurred."}
        raise Refusal(faults.error_status, body)
