"""The HTTP API: events in, directory changes in, questions answered. ASGI (Starlette) on Hypercorn's trio worker."""
