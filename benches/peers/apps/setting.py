"""What the script tells every program that it starts, and how publishers answer."""

import asyncio
import os
import sys
import time

AMQP = os.environ["PEERS_AMQP"]
REDIS = os.environ["PEERS_REDIS"]
QUEUE = os.environ["PEERS_QUEUE"]

# Whether a peer is set to lose as little as it can.
CAREFUL = os.environ.get("PEERS_CAREFUL") == "1"

# Tasks that run at once, and deliveries that are held, wherever a peer lets one say so: what taskq's worker has.
CONCURRENCY = 100

# Callers at once of those peers that can have several.
CALLERS = 100

# Results are deleted after each run; this is for a script that is killed.
RESULT_SECONDS = 15 * 60


def submit(one):
    """Calls `one` as often as the command line says, and tells how long that took."""
    began = time.perf_counter()
    for _ in range(_tasks()):
        one()
    print(time.perf_counter() - began)


async def submit_together(one):
    """The same by many callers at once, each of whom awaits its own."""
    tasks = _tasks()

    async def caller(share):
        for _ in range(share):
            await one()

    began = time.perf_counter()
    shares = (tasks // CALLERS + (at < tasks % CALLERS) for at in range(CALLERS))
    await asyncio.gather(*(caller(share) for share in shares))
    print(time.perf_counter() - began)


def _tasks():
    return int(sys.argv[1])
