"""All that the store remembers.

link         the one connection to the store; the only file that imports redis
embedded     starts and stops the bundled server
keys         every key's name in one place
scripts/     one Lua file a verb, each with a key legend; they move and insert, they choose no policy
directory/   people, planes, rosters (port: Directory)
work/        events, ledger, queues, leases (port: Work)
lanes        rate limits and parked lanes (port: Lanes)
inbox        the in-app inbox
"""
