"""The figures as tables and sentences."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from loadtests.bench.engine.figures import Figures, Target
from loadtests.bench.report import show


def show_size(console: Console, size: Figures) -> None:
    """One size: the seconds, and a line for each process."""
    pushes, items = size["deliveries"]["push"], size["deliveries"]["inapp"]
    show(
        console,
        f"{size['recipients']:,} recipients, {pushes:,} pushes, {items:,} in-app",
        ("process", "CPU s", "us a delivery", "peak MB"),
        [
            (name, f"{cpu:.1f}", f"{size['cpu_us_per_delivery'][name]:.2f}", f"{size['peak_rss_mb'][name]:.0f}")
            for name, cpu in size["cpu_seconds"].items()
        ]
        + [("all", f"{sum(size['cpu_seconds'].values()):.1f}", f"{size['cpu_us_per_delivery_all']:.2f}", "")],
    )
    rounds = size["seconds_of_rounds"]
    several = f" (median of {', '.join(f'{one:.2f}' for one in rounds)})" if len(rounds) > 1 else ""
    for line in (
        f"202 to the last push answer {size['seconds_to_last_push_answer']:.2f} s, to the last item in an inbox "
        f"{size['seconds_to_last_inapp']:.2f} s, to the last settlement {size['seconds_to_last_settlement']:.2f} s"
        f"{several}",
        f"{size['deliveries_per_second']:,} deliveries/s, {size['us_per_recipient']:.1f} us a recipient; "
        f"store {size['store_used_mb']:,.0f} MB (peak {size['store_peak_mb']:,.0f} MB)",
        f"urgent class messages: {_urgent(size['urgent'])}; before the blast {_urgent(size['urgent_when_idle'])}",
        "",
    ):
        console.print(line, markup=False, soft_wrap=True)


def _urgent(figures: Figures) -> str:
    if not figures["messages"]:
        return "none"
    return f"{figures['messages']}, p50 {figures['p50_ms']:.0f} ms, p99 {figures['p99_ms']:.0f} ms"


def show_end(console: Console, sizes: Sequence[Figures], found: Sequence[Target]) -> None:
    """Targets, and whether everything balances."""
    for target in found:
        console.print(target.sentence(), markup=False, soft_wrap=True, style="" if target.is_met else "bold")
    wrong = [fault for size in sizes for fault in size["faults"]]
    for fault in wrong[:20]:
        console.print(f"fault: {fault}", markup=False, soft_wrap=True, style="bold red")
    if not wrong:
        console.print("balanced: lost 0, duplicates 0", soft_wrap=True)
