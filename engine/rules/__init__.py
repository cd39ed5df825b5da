"""The pure room: decisions as functions of records. No await, no clock, no random: `now` and the draw are arguments.

On the way of an event:

    audience     an expression: what to fetch for it, and who it means
    policy       who may be reached on which channel, and why not (planes names their planes)
    quiet        who is quiet at a moment, and when each is released; pacing spreads releases
    plan         a verdict becomes parts and slices
    journal      what a process knows of the directory's changes
    recheck      truth at send time: who of a slice may still be sent to
    answering    what a batch of answers means; breaker and mass_guard look at the lane as a whole
    retry        what each answer leads to; children: what `{children}` says to a reader
    quota        how fast a lane may be within its provider's quota a minute
    settling     from what became of each person to one settlement
    lifecycle    the states of a delivery, as a table
    roster       the algebra that all of them use

Beside the way: numbering (event numbers), devices (which are taken, and their lanes), membership, person_planes and
quiet_week (what a person's card gives).

Rules import records, outcomes and each other, nothing else.
"""
