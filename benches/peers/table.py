"""Prints what was measured, as Markdown."""

import argparse
import datetime
import json
import statistics
import sys
from pathlib import Path

from peers import PEERS, TASKQ_LACKS, TASKQ_SUBMITS, TASKQ_WORKS, TASKQ_WORKS_WITHOUT

HEAD = ["", "version", "submitted /s", "drained /s", "worker CPU s per 10,000", "submits", "works", "does not promise"]


def line(*cells):
    return "| " + " | ".join(cells) + " |"


def peers_rows(out):
    for peer in PEERS:
        file = out / f"{peer.name}.json"
        if not file.exists():
            yield line(peer.name, "not measured", *[""] * 3, peer.submits, peer.works, peer.lacks)
            continue
        figures = json.loads(file.read_text())
        versions = ", ".join(
            version if len(figures["versions"]) == 1 else f"{name} {version}"
            for name, version in zip(peer.version_of, figures["versions"])
        )
        yield line(
            peer.name, versions, f"{figures['submitted']:,.0f}", f"{figures['drained']:,.0f}", f"{figures['cpu']:.2f}",
            peer.submits, peer.works, peer.lacks,
        )


def taskq_rows(report):
    contests = {contest["name"]: contest["runs"] for contest in report["contests"]}

    def median(contest, contender, figure):
        return statistics.median(run[figure] for run in contests[contest][contender])

    submitted = f"{median('publish, classic', 'taskq, 100 callers', 'per second'):,.0f}"
    for name, contest, works, lacks in [
        ("**taskq**", "drain with results, classic", TASKQ_WORKS, TASKQ_LACKS),
        ("**taskq**, no results", "drain without results, classic", TASKQ_WORKS_WITHOUT, "as taskq; **no results**"),
    ]:
        drained = f"{median(contest, 'taskq', 'per second'):,.0f}"
        cpu = f"{median(contest, 'taskq', 'worker cpu'):.2f}"
        yield line(name, report["taskq"], submitted, drained, cpu, TASKQ_SUBMITS, works, lacks)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    taskq = out / "taskq.json"
    report = json.loads(taskq.read_text()) if taskq.exists() else None
    if report:
        print(f"{datetime.date.today()}, {report['machine']}, RabbitMQ {report['rabbitmq']}, Redis {report['redis']}, "
              f"Python {sys.version.split()[0]}; all on this one machine.\n")
    print(line(*HEAD))
    print(line(*["---", "---", "---:", "---:", "---:", "---", "---", "---"]))
    if report:
        print(*taskq_rows(report), sep="\n")
    for row in peers_rows(out):
        print(row)


if __name__ == "__main__":
    main()
