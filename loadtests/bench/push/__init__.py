"""`./klokke bench push`: the push sender by itself, beside its peers in the same run.

    command.py      the command line, progress, the report
    plan.py         which sender meets which server, with what options (pure)
    course.py       servers up, rounds, one process a run
    figures.py      medians, ratios, targets, the JSON (pure)

    task.py         what a sending process is told and what it reports (pure)
    shapes.py       phones, events, batches (pure)
    credentials.py  throw-away signing keys
    meter.py        the send phase measured from inside: CPU, memory, the course of the rate

    ours.py         sends with ApnsSender or FcmSender
    with_aioapns.py, with_httpx.py, with_h2load.py   send the same with peers, each in a process of its own

    processes.py    programs pinned to a core, ended in any case
    servers.py      nghttpd, HAProxy, or the bundled simulator
    relay.py        a byte relay that makes the provider distant

It imports the channels that it measures; the engine's records are all else it knows of us.
"""
