"""The oracle: what must have happened, worked out one person at a time and compared with what providers received.

    people.py       the population's NDJSON, read again from scratch: who a person is, whose guardian, with which wishes
    posted.py       the events as they were posted, and which of them a newer one replaced
    wording.py      which text a person must get on a channel, and its digest as the simulators write it down
    quiet.py        quiet hours, minute by minute of the local week
    expectation.py  one person, one event: reached where, or suppressed why
    ledger.py       the simulators' ledgers, read as streams
    comparison.py   both sides against each other: lost, unexpected, twice, wrong text, wrong tenant, late
    verify.py       the whole way: files in, findings out; a seeded sample of people above 200,000
    __main__.py     `python -m loadtests.oracle --people people.ndjson --events posted/ --ledger apns.tsv ...`

It shares no code with the engine and is simple on purpose: no planes, no masks, no numbers of people.
"""
