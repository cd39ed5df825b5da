"""The push channels: pure tables and payloads, the HTTP/2 sender against a scripted peer, and the reference clients.

`peer.py` is the other end: a server on the `h2` library over TLS, whose behaviour each test writes in a few lines.
`simulated.py` runs a channel's simulator in this process, and `kinds.py` has one entry a channel: what it holds goes
through `test_sender_contract.py`.
"""
