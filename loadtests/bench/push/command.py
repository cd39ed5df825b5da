"""`./klokke bench push`: the command."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from channels.simulator.starting import Crashed, NotStarted
from loadtests.bench import report
from loadtests.bench.measuring import cores, machine
from loadtests.bench.push import figures, servers
from loadtests.bench.push.course import Course, rounds
from loadtests.bench.push.figures import Figures
from loadtests.bench.push.plan import SCENARIOS, Run, Scenario, plan
from loadtests.bench.push.processes import BenchFault
from loadtests.bench.push.task import Sample
from loadtests.stage.processes import signals_as_ctrl_c

_LIBRARIES = ("trio", "aioapns", "httpx", "h2", "hpack", "msgspec")
_QUICK_PUSHES, _QUICK_LONG = 40_000, 200_000
_COLUMNS = ("sender", "pushes/s", "CPU us", "server us", "RSS MB", "conns", "full s", "full/s", "ok %")
_LEGEND = (
    "sender: whose, what shape or scenario, which server; CPU us, server us: user and system time a push; "
    "RSS MB: peak; full s: until nine tenths of its usual rate; full/s: the rate from then on; ok %: accepted"
)
_WIDTH = 100  # where the output is no terminal


def push(
    *,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
    scenario: Annotated[list[Scenario] | None, Parameter(negative="")] = None,
    pushes: Annotated[int, Parameter(validator=Number(gte=0, lte=100_000_000))] = 2_000_000,
    round_pushes: Annotated[int, Parameter(validator=Number(gte=100, lte=10_000_000))] = 200_000,
    repeat: Annotated[int, Parameter(name="--rounds", validator=Number(gte=1, lte=99))] = 3,
    quick: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Measure the push sender beside aioapns, httpx and h2load, against HTTP/2 servers that are not ours.

    Our whole `ApnsSender.send` and `FcmSender.send` run in a process pinned to one core; nghttpd and HAProxy (Debian:
    apt install nghttp2-server nghttp2-client haproxy) answer on another one, over TLS that is verified. Where a server
    is not installed the bundled simulator takes its place, and the output says so. Ends by itself after about four
    minutes; CPU microseconds per push are the figure to trust, rates move with the machine. A missed target is said,
    and is no failure: the exit status is 0 unless something broke.

    For example:

        ./klokke bench push --quick                        under a minute

        ./klokke bench push --json push.json               everything

        ./klokke bench push --scenario latency --pushes 0  60 ms to the provider and back, no long run

    Args:
        json_file: Where to write all figures as JSON.
        scenario: apns, fcm, refused (5 % 400/410 and 1 % 503), latency (60 ms), small (46 people a batch),
            events (64 events interleaved), peers; may be repeated. Without it all are.
        pushes: Pushes of the one long run by which memory is judged; 0 leaves it out.
        round_pushes: Pushes of each of our runs in a round; slower peers get a hundredth or less.
        repeat: Rounds; medians of them are shown.
        quick: One round with 40,000 pushes and a long run of 200,000.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    if fault := report.json_fault(json_file):
        _fail(fault)
    if quick:
        pushes, round_pushes, repeat = min(pushes, _QUICK_LONG), min(round_pushes, _QUICK_PUSHES), 1
    try:
        with signals_as_ctrl_c():
            samples, long_run = _measure(console, scenario or list(SCENARIOS), pushes, round_pushes, repeat)
    except (BenchFault, NotStarted, Crashed) as fault:
        _fail(str(fault))
    except KeyboardInterrupt:
        print("klokke bench push: stopped; nothing is left running", file=sys.stderr)
        raise SystemExit(130) from None
    _show(console, samples, long_run)
    if json_file is not None:
        about = {
            "machine": machine(),
            "versions": versions(),
            "date": datetime.now().astimezone().isoformat("T", "seconds"),
            "round_pushes": round_pushes,
            "rounds": repeat,
        }
        report.write_json(json_file, {**figures.as_json(samples, long_run), **about})


def _measure(
    console: Console, scenarios: list[Scenario], pushes: int, round_pushes: int, repeat: int
) -> tuple[Mapping[str, list[Sample]], Sample | None]:
    found = frozenset(name for name in ("nghttpd", "haproxy", "h2load") if servers.installed(name))
    for missing in sorted({"nghttpd", "haproxy", "h2load"} - found):
        instead = "left out" if missing == "h2load" else "the bundled simulator serves instead: not independent"
        console.print(f"{missing} is not installed; {instead}")
    if len(cores()) < 2:
        console.print("only one core: sender and server share it, so rates mean little; CPU per push still does")
    chosen = plan(scenarios, found, round_pushes)

    def say(number: int, one: Run, sample: Sample) -> None:
        console.print(
            f"[dim]round {number} of {repeat}  {one.name:<24} {sample.rate:>9,.0f}/s  {sample.cpu_us:>8.2f} us[/dim]"
        )

    with tempfile.TemporaryDirectory(prefix="klokke-bench-") as folder, Course(Path(folder)) as course:
        samples = rounds(course, chosen, repeat, say)
        if not pushes:
            return samples, None
        console.print(f"[dim]long run of {pushes:,} pushes ...[/dim]")
        fast = plan(["apns"], found, pushes)[0]
        return samples, course.measure(fast)


def _show(console: Console, samples: Mapping[str, list[Sample]], long_run: Sample | None) -> None:
    rows = {name: figures.of(some) for name, some in samples.items()}
    console.print()
    report.show(console, "push senders, one core, medians", _COLUMNS, [_row(name, row) for name, row in rows.items()])
    console.print(_LEGEND)
    console.print()
    for peer, value in figures.ratios(rows).items():
        if value is not None:
            console.print(f"{peer}'s CPU per push over ours: {value:.2f} (above 1 we are cheaper)")
    if long_run is not None:
        start, tenth, end = long_run.rss_mb
        console.print(
            f"memory over {long_run.pushes:,} pushes: {start:.1f} MB at the start, {tenth:.1f} after a tenth, "
            f"{end:.1f} at the end; {long_run.rate:,.0f}/s, {long_run.cpu_us:.2f} us"
        )
    console.print()
    for target in figures.targets(rows, long_run):
        console.print(target.sentence())


def _row(name: str, row: Figures) -> list[str]:
    return [
        name,
        f"{row.rate:,.0f}",
        f"{row.cpu_us:,.2f}",
        f"{row.server_cpu_us:,.2f}",
        f"{row.peak_rss_mb:,.0f}",
        str(row.connections or ""),
        f"{row.full_rate_after_seconds:.1f}" if row.full_rate else "",
        f"{row.full_rate:,.0f}" if row.full_rate else "",
        f"{row.accepted_share * 100:.1f}",
    ]


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def _fail(why: str) -> None:
    print(f"klokke bench push: {why}", file=sys.stderr)
    raise SystemExit(1)
