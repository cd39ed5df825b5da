"""The demo: one command starts everything on this machine, plays a school day and checks every delivery.

    __main__.py    the command line, and the order of things
    processes.py   one started program: its log, whether it still runs, how it is stopped
    stage.py       keys, simulated providers, configuration, engine: built in a temporary folder and taken down
    settings.py    the text of `klokke.toml`
    api.py         the engine's HTTP, as a backend service and as a person's app see it
    filling.py     makes the population and imports it
    cast.py        which class, school and municipality the events are about
    school_day.py  the events
    watching.py    waits until nothing more is due, and shows the progress
    verdict.py     the engine's report, the oracle and the ledgers against each other
    summary.py     the same as numbers: JSON
    tables.py      and as tables

What was expected comes from `loadtests/oracle`, never from the engine.
"""
