"""In-app: the inbox as a channel (writing), and the gateway (reading, live).

payload    an item as people's apps read it, and its Server-Sent Events frame (pure)
answers    what writing to the inbox can come to
client     the `Sender` port: one write a slice

gateway    the server: sockets, tasks, figures; start here
settings   limits and deadlines
exchange   HTTP/1.1 requests in, answers out, with deadlines (h11)
routes     what each path does
problems   errors as RFC 9457 documents
turnstile  how often one person may ask
bodies     events read through a short memory; says which are withdrawn
short_memory  what was read a moment ago
wording    whose children an item names, through a short memory
streams    open live connections, written to directly, without a task each
live       hints from the store become frames; gaps are found and filled

Imports records, outcomes, ports and `engine.rules.tickets` (whose inbox a caller may see) and
`engine.rules.children` (what `{children}` says to a reader).
"""
