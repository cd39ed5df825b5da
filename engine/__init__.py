"""The engine: the way of an event from a backend service's call to a settled delivery.

    intake/      1  the HTTP API: admit events, change people, ask what happened
    fanout       2-4  audience, policy, plan: an event becomes slices
    dispatch     5  the loops of each lane: permits, claims, a task for each claim (watch says where work waits)
    sending      6-9  one claimed slice: checked again (recheck), addressed (addresses), marked, sent
    settlement   10-11  what each answer leads to, written once
    upkeep       what nobody waits for: due work, lost leases, expiry, sweeps
    resolving    asks the directory for what the rules need; combining: calls of many tasks in one round trip
    lease_keeper keeps what is in hand; patience: going on after the store was away
    rules/       the pure room: every decision, no await, no clock, no random
    records/     the nouns; outcomes: what a provider can answer; ports: the doors to other rooms
    settings     klokke.toml as records; config reads and checks it, config_rules over several of its settings
    supervisor   the processes; drain: stopping in order
    vapid_key    makes the key that push services of browsers know us by
    composition  joins the concrete parts of one process; the only file that knows every room
    ways_out     one way out per lane, made from its table of the configuration; rate limits
    start_checks what would keep the processes from starting, found before they start
    __main__     the command line

Rules import records; shells import rules and ports; nothing here imports redis, a channel or a metric by name.
"""
