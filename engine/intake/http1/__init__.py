"""HTTP/1.1 on trio, as much as the intake needs, and strict: what two readers could take differently is refused.

    head         the head of a request: request line, fields, how long the body is. Pure
    chunks       a body in chunked coding. Pure
    answer       the head of an answer. Pure
    connection   one connection: reads requests, runs the app for each in turn, writes answers, ends in order

Sources: RFC 9110 and 9112. No upgrades, no HTTP/2, no TLS, no compression: a proxy does that (docs/operations.md).
`serving.py` accepts the connections; why this is our own, with figures: docs/decisions/0009-the-speed-of-the-intake.md.
"""
