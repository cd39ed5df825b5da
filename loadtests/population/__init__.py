"""The population model: a school platform's people, seeded and deterministic, as NDJSON for the directory.

    municipalities.py  the 98 municipalities: code, name, inhabitants
    places.py          schools and day-care institutions, their classes and groups, planned from the head count
    society.py         who lives with whom and goes where: families, pupils, staff, as compact columns
    years.py           one year roll: pupils move up, leave and join; families move
    person_lines.py    what a person carries (devices, e-mail, opt-outs, quiet hours), drawn from seed and id
    web_subscriptions.py  a browser whose keys the simulated push service can derive from its name
    lines.py           everything as NDJSON lines, in the order in which people joined
    __main__.py        `python -m loadtests.population --recipients 100000 --seed 1 --out people.ndjson`

The same arguments always give the same bytes. Two million people take well under a minute of one core and about
100 MB: people are columns of integers, and what they carry is derived when their line is written.
"""
