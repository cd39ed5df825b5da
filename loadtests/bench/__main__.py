"""`./klokke bench push|engine|intake`: the command line."""

from __future__ import annotations

from cyclopts import App

from loadtests.bench.engine.command import engine
from loadtests.bench.intake.command import intake
from loadtests.bench.push.command import push

app = App(
    name="klokke bench",
    version_flags=[],
    help="Measure how fast the engine is on this machine, beside its peers in the same run. Loopback only, bounded.",
)
app.command(push)
app.command(engine)
app.command(intake)

if __name__ == "__main__":
    app()
