"""The demo: one command starts everything on this machine, plays a school day and checks every delivery.

    __main__.py    the command line, and the order of things
    cast.py        which class, school and municipality the events are about
    school_day.py  the events
    watching.py    waits until nothing more is due, and shows the progress
    verdict.py     the engine's report, the oracle and the ledgers against each other
    summary.py     the same as numbers: JSON
    tables.py      and as tables

The stage that it plays on is `loadtests/stage`. What was expected comes from `loadtests/oracle`, never from the engine.
"""
