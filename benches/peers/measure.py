"""Measures one peer: publishes a backlog, lets one worker drain it, and writes what that took as JSON.

A rate of draining is that between two looks: one when the first results are there, so that the start of the worker does not
count, and one when all are.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pika
import psutil
import redis

from peers import HERE, PEERS, RUST

# Databases of Redis, the last one first: the first ones are what others use.
DATABASES = range(15, 0, -1)

LOOK = 0.02
PATIENCE = 100.0


class Place:
    """A queue name and a database that nobody else uses, empty when it begins and when it ends."""

    def __init__(self, peer):
        self.peer = peer
        self.queue = f"taskq-peers-{os.getpid()}"
        self.amqp = os.environ.get("TASKQ_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
        self.redis_url, self.redis = _empty_database(os.environ.get("TASKQ_TEST_REDIS_URL", "redis://127.0.0.1:6379"))
        self.connection = pika.BlockingConnection(pika.URLParameters(self.amqp))

    def environment(self):
        added = {
            "PEERS_AMQP": self.amqp,
            "PEERS_REDIS": self.redis_url,
            "PEERS_QUEUE": self.queue,
            "PEERS_CAREFUL": "1" if self.peer.careful else "0",
            "dramatiq_queue_prefetch": "100",
        }
        return os.environ | added

    def ready(self):
        """Tasks that no worker has."""
        if self.peer.progress == "sorted set":
            return self.redis.zcard(self.queue)
        with contextlib.closing(self.connection.channel()) as channel:
            declared = channel.queue_declare(self.peer.queues[0].format(queue=self.queue), passive=True)
            return declared.method.message_count

    def done(self, tasks):
        return self.redis.dbsize() if self.peer.progress == "results" else tasks - self.ready()

    def clean(self):
        with contextlib.closing(self.connection.channel()) as channel:
            for queue in self.peer.queues:
                channel.queue_delete(queue.format(queue=self.queue))
            for exchange in self.peer.exchanges:
                channel.exchange_delete(exchange.format(queue=self.queue))
        self.connection.close()
        # The database was empty: whatever is in it is ours. Key by key, since a flush of the wrong one has no way back.
        keys = list(self.redis.scan_iter(count=1000))
        for at in range(0, len(keys), 1000):
            self.redis.unlink(*keys[at : at + 1000])


def _empty_database(url):
    for database in DATABASES:
        parts = urlsplit(url)
        own = urlunsplit(parts._replace(path=f"/{database}"))
        client = redis.Redis.from_url(own)
        if client.dbsize() == 0:
            return own, client
    sys.exit("no database of Redis is empty: one is needed in which every key is a result")


def submit(place, peer, tasks):
    """Seconds that it took."""
    ran = subprocess.run(
        [*map(str, peer.submit), str(tasks)],
        cwd=HERE / "apps", env=place.environment(), stdout=subprocess.PIPE, timeout=PATIENCE, check=True, text=True,
    )
    wait_for(lambda: place.ready() == tasks + peer.extra, f"{tasks} tasks in the queue", place.ready)
    return float(ran.stdout.split()[-1])


def drain(place, peer, tasks):
    """Tasks per second, and CPU seconds per 10,000 tasks of the worker and all that it started."""
    total = tasks + peer.extra
    worker = subprocess.Popen(
        list(map(str, peer.work)), cwd=HERE / "apps", env=place.environment(), stdout=subprocess.DEVNULL,
    )
    try:
        done = wait_for(lambda: place.done(total), "the first result", lambda: worker.poll())
        if done >= total:
            raise RuntimeError(f"{total} tasks were done before the first look: it takes more")
        began, used = time.perf_counter(), cpu(worker.pid)
        wait_for(lambda: place.done(total) >= total, f"{total} results", lambda: place.done(total))
        seconds, used = time.perf_counter() - began, cpu(worker.pid) - used
        memory = sum(process.memory_info().rss for process in family(worker.pid))
    finally:
        end(worker)
    return {"drained": (total - done) / seconds, "cpu": used / (total - done) * 10_000, "seconds": seconds,
            "memory": memory}


def wait_for(look, what, state):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(LOOK)
    raise TimeoutError(f"no {what} after {PATIENCE:.0f} s: {state()}")


def family(pid):
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def cpu(pid):
    return sum(times.user + times.system for times in (process.cpu_times() for process in family(pid)))


def end(worker):
    """Ends it, and what it left behind."""
    with contextlib.suppress(psutil.NoSuchProcess):
        processes = family(worker.pid)
        worker.terminate()
        _, left = psutil.wait_procs(processes, timeout=15)
        for process in left:
            process.kill()
    worker.wait()


def versions(peer):
    if str(peer.submit[0]) == str(RUST):
        lock = (HERE / "rust" / "Cargo.lock").read_text()
        return [re.search(rf'name = "{name}"\nversion = "(.*?)"', lock)[1] for name in peer.version_of]
    python = Path(peer.submit[0])
    if python.parent == Path(sys.executable).parent:
        return [importlib.metadata.version(name) for name in peer.version_of]
    code = f"import importlib.metadata as m; print(*map(m.version, {peer.version_of!r}))"
    return subprocess.run([python, "-c", code], stdout=subprocess.PIPE, check=True, text=True).stdout.split()


def main():
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=names)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    peer = PEERS[names.index(arguments.peer)]
    # Whoever ends it wants it to clean up first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    place = Place(peer)
    try:
        submitting = submit(place, peer, arguments.tasks)
        figures = drain(place, peer, arguments.tasks)
    finally:
        place.clean()
    figures |= {
        "tasks": arguments.tasks,
        "submitted": arguments.tasks / submitting,
        "versions": versions(peer),
    }
    arguments.out.write_text(json.dumps(figures, indent=2))
    print(f"{peer.name}: {figures['submitted']:,.0f} /s submitted, {figures['drained']:,.0f} /s drained, "
          f"{figures['cpu']:.2f} CPU s per 10,000", file=sys.stderr)


if __name__ == "__main__":
    main()
