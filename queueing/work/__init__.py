"""The port `Work` on Valkey or Redis: `StoreWork`. In the order of an event's way:

ledger       `StoreWork`, the one name that others use
admission    events become durable, once per idempotency key
planning     leases for fan-out, versions of entities, frozen audiences, plans of parts
claims       what waits; slices under lease; marks before sending
settling     ends, counters and children, once per (slice, epoch)
stopping     cancelled, superseded, expired
sweeping     settles what waits of stopped events
expiring     events whose time is over; forgetting what has ended
upkeep       delays end, leases lapse
asking       reports and stories; stories is the pure fold behind them
depths       how much waits, and since when
bell         waiting without asking again and again
live         live slices as they are stored
counters     names of the counters, and their sums
codec        packed records
references   what stands in queues
scripts      the Lua scripts; their legends are in queueing/scripts/, key names in queueing/keys.py

Every script touches one shard, so that a cluster works. Rules that the scripts keep together:

1. A live slice is in exactly one place: a ready queue, the delayed set, a lease, or it belongs to a stopped event
   and waits for the sweep.
2. Its epoch is odd exactly while it is leased. Settle, mark and extend with another epoch change nothing.
3. Counters of ends move in the script that inserts the settlement, and a settlement is inserted once.
4. A stop before the audience is frozen (a small event: planned) closes the event with an audience of 0. A stop after
   it changes no plan: the remaining parts are written too, and the sweep settles them, so the ledger always adds up.
"""

from queueing.work.ledger import StoreWork

__all__ = ["StoreWork"]
