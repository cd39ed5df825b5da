"""The HTTP API: events in, directory changes in, questions answered. An ASGI app, served by our own HTTP/1.1.

In the order of a request's way:

    serving          accepts connections, watches their deadlines, stops in order
    http1/           HTTP/1.1: heads, chunks, one connection
    app              `make_app`: joins everything; routing, keys, problems; nothing leaves as a bare 500
    routes           the table of operations, of which routing and OpenAPI are made
    exchange         one request and its answer over ASGI: bodies within limits, JSON, answers
    keys, limits     who calls and for what; sizes, deadlines, shares, who waits when it is busy
    strict_json      JSON that means the same to every reader
    wire             what comes in and goes out, as structs
    faults           every fault of a value, with JSON pointers
    cloudevents      CloudEvents 1.0, structured and batch
    scoping          which tenant sends, what its key may address
    calendar_entry, icalendar_in, moments, recurrence, calendar_text
                     entries from JSON and iCalendar, times and zones, rules that repeat, texts made from an entry
    admission        a CloudEvent becomes an event: defaults, expiry, entity, fingerprint
    desk             many requests at once: do people and groups exist? one durable write
    events, asking, people, imports, health
                     the handlers
    problems         RFC 9457 documents
    openapi          the OpenAPI document

The composition root imports `app.make_app`, `keys.Service`, `serving.serve`; nobody else imports this package.
"""
