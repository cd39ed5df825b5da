"""The multiplexed HTTP/2 sender (RFC 9113) under APNs, FCM and Web Push: many small POSTs to one origin.

In the order in which a batch passes:

    pool.py        `Pool.submit`: connections to an origin, growth, replacement, resending
    growth.py      when more connections are worth opening
    jobs.py        requests in columns, answers and failures, the queue in which batches take turns
    connection.py  one socket with its reading and writing task
    tls.py         TLS records pumped in bulk
    session.py     one connection's state: requests out, answers in
    accepted.py    the fast path of answers: plain 200s
    sending.py     its sending half: windows, the peer's settings, the hot loop that writes requests
    streams.py     which stream belongs to which request
    headers.py     HPACK: request templates, the reader of answer headers
    gathering.py   a header block that comes in pieces
    fields.py      answer headers, decoded when asked for
    frames.py      frames as bytes
    flood.py       how much a peer may make us do for nothing

All but pool, connection and tls are pure. The room imports nothing of ours; only `channels/` imports it.
"""
