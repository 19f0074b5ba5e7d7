"""Who is measured, as whom, and what each does not promise."""

from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
VENV = HERE / "out" / "venv" / "bin"
ARQ_VENV = HERE / "out" / "venv-arq" / "bin"
RUST = HERE / "out" / "rust" / "release" / "taskq-peers"

CELERY = ["--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"]


@dataclass
class Peer:
    name: str
    version_of: list
    submit: list
    work: list
    # How it publishes, and how it works.
    submits: str
    works: str
    # What it does not promise as it is set here.
    lacks: str
    queues: list = field(default_factory=lambda: ["{queue}"])
    exchanges: list = field(default_factory=list)
    careful: bool = False
    # "results": every result is a key of the database. "sorted set": what is left is in one. "ready": what is left is ready
    # in RabbitMQ.
    progress: str = "results"
    # Publishes of its own before those that are measured.
    extra: int = 0


def _celery(name, pool, works, lacks, careful=False):
    processes = int(pool[-1])
    return Peer(
        name=name,
        version_of=["celery"],
        submit=[VENV / "python", "celery_app.py"],
        work=[VENV / "celery", "-A", "celery_app", "worker", *pool, *CELERY,
              "--prefetch-multiplier", str(96 // processes)],
        submits="one thread, a confirm awaited each" if careful else "one thread, no confirms",
        works=works,
        lacks=lacks,
        exchanges=["{queue}"],
        careful=careful,
        extra=1,
    )


def _dramatiq(name, submits, lacks, careful=False):
    return Peer(
        name=name,
        version_of=["dramatiq"],
        submit=[VENV / "python", "dramatiq_app.py"],
        work=[VENV / "dramatiq", "dramatiq_app", "--processes", "1", "--threads", "8", "--skip-logging"],
        submits=submits,
        works="1 process, 8 threads (its default), prefetch 100",
        lacks=lacks,
        queues=["{queue}", "{queue}.DQ", "{queue}.XQ"],
        careful=careful,
    )


NO_CONFIRMS = "publishes are not confirmed: lost with the connection, or without a queue"
NO_MANDATORY = "confirmed without a queue to go to"

PEERS = [
    Peer(
        name="taskiq",
        version_of=["taskiq", "taskiq-aio-pika", "taskiq-redis"],
        submit=[VENV / "python", "taskiq_app.py"],
        work=[VENV / "taskiq", "worker", "taskiq_app:broker", "--workers", "1", "--max-async-tasks", "100",
              "--log-level", "ERROR"],
        submits="100 callers, a confirm awaited each",
        works="1 process under a parent, 100 tasks at once, prefetch 100, acks when saved (its default)",
        lacks="a publish that no queue took counts as done; a result that Redis did not take is lost, the task acked",
        queues=["{queue}", "{queue}.dead_letter"],
        exchanges=["{queue}"],
    ),
    _celery(
        "celery", ["--pool", "prefork", "--concurrency", "2"],
        "parent and 2 processes (its default on 2 cores), prefetch 96, acks when a task starts (its default)",
        f"{NO_CONFIRMS}; a task that runs when the worker dies is lost; a result that Redis does not take is lost after "
        "20 tries, the task acked",
    ),
    _celery(
        "celery-careful", ["--pool", "prefork", "--concurrency", "2"],
        "parent and 2 processes, prefetch 96, acks late, rejects when a process is lost",
        f"{NO_MANDATORY}; a result that Redis does not take is lost after 20 tries, the task acked; a task that kills its "
        "process comes again for ever",
        careful=True,
    ),
    _celery(
        "celery-threads", ["--pool", "threads", "--concurrency", "8"],
        "1 process, 8 threads, prefetch 96, acks when a task starts (its default)",
        "as celery, and no time limits",
    ),
    _dramatiq(
        "dramatiq", "one thread, no confirms (its default)",
        f"{NO_CONFIRMS}; a result that Redis did not take is lost, the task acked; a retry that cannot be published is lost",
    ),
    _dramatiq(
        "dramatiq-careful", "one thread, a confirm awaited each",
        "a result that Redis did not take is lost, the task acked; a retry that cannot be published is lost",
        careful=True,
    ),
    Peer(
        name="arq",
        version_of=["arq"],
        submit=[ARQ_VENV / "python", "arq_app.py"],
        work=[ARQ_VENV / "arq", "arq_app.WorkerSettings", "--custom-log-dict", "arq_app.SILENT"],
        submits="100 callers, a transaction of Redis each",
        works="1 process, 100 tasks at once, polls every 10 ms (half a second by default)",
        lacks="tasks are in Redis, and as safe as its last sync to disk; a task of a worker that dies waits for its timeout "
        "and 10 s more",
        queues=[],
        progress="sorted set",
    ),
    Peer(
        name="kojin",
        version_of=["kojin"],
        submit=[RUST, "kojin", "submit"],
        work=[RUST, "kojin", "work"],
        submits="100 callers, no confirms (it cannot)",
        works="1 process, 100 tasks at once, prefetch 100, acks before it stores the result",
        lacks=f"{NO_CONFIRMS}; a result that is not stored when the worker dies, or that Redis does not take, is lost",
        queues=["kojin.queue.{queue}", "kojin.dlq.{queue}"],
        exchanges=["{queue}.direct", "{queue}.dlx", "{queue}.delayed"],
    ),
    Peer(
        name="rusty-celery",
        version_of=["celery"],
        submit=[RUST, "rusty-celery", "submit"],
        work=[RUST, "rusty-celery", "work"],
        submits="100 callers, no confirms (it cannot)",
        works="1 process, prefetch 100, acks when a task starts (its default)",
        lacks=f"**no results at all**; {NO_CONFIRMS}; a task that runs when the worker dies is lost",
        progress="ready",
    ),
]

# Its own figures come from `taskq-load`.
TASKQ_LACKS = (
    "a task may run twice; a classic queue, which the peers have too, is as safe as one server (its default is a quorum queue)"
)
TASKQ_SUBMITS = "100 callers, a confirm and the absence of a return awaited each"
TASKQ_WORKS = "1 process, 100 tasks at once, prefetch 200 (its defaults), acks when the result is stored"
TASKQ_WORKS_WITHOUT = "the same, and no result: acks when the task has run"
