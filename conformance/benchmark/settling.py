"""Waiting until a server has no more to do for itself, so that it does not disturb the next."""

import asyncio
from collections.abc import Callable

from conformance.benchmark.processes import cpu_time

LOOKS, SECONDS, IDLE = 20, 0.3, 0.03
"""Looks at the most, seconds between them, and the share of one processor that is no work."""


async def settled(processes: Callable[[], set[int]]) -> None:
    """Wait until a server's processes are idle: what was stored may still be worked on."""
    for _ in range(LOOKS):
        before = cpu_time(processes())
        await asyncio.sleep(SECONDS)
        taken = cpu_time(processes()) - before
        if taken.total < IDLE * SECONDS:
            return
