"""`./klokke bench intake`: durable events a second over loopback, one a request and in batches, and what each costs.

command      the command line: which phases, in which order
world        the stage: a store, an intake process, a small population; killing the store and starting it again
requests     the bytes of events and requests. Pure
answers      reads HTTP answers off a byte stream. Pure
generator    the load: a process of its own over plain sockets, open loop (a given rate) or closed loop (as fast as
             answers come)
figures      what a phase came to: rates, percentiles, CPU microseconds; the targets. Pure
proof        everything that was answered 202 is sent again after a `kill -9` of the store, and must be known
empty_app    the peer: an empty Starlette app on stock Hypercorn with its trio worker
"""
