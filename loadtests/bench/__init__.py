"""`./klokke bench`: how fast the engine is, beside its peers in the same run, on the machine that it stands on.

    __main__.py   the commands: push, engine, intake
    measuring.py  CPU time and memory of processes, cores, medians, the machine's description
    report.py     a table on the terminal and a JSON file

    push/         the push sender against independent HTTP/2 servers, beside aioapns, httpx and h2load
    engine/       202 to last answer with the real store, engine processes and simulated providers
    intake/       durable events a second, single and in batches

Benchmarks are commands, never timed tests. They talk to loopback only, are bounded in count and time, and stop
everything that they started. `push/` is the one place here that imports the room it measures.
"""
