"""All tests; `./klokke test` runs them after format, lint and types (`__main__`).

architecture/  who may import whom, small files, maps at the doors
rules/         pure rules: tables, and properties against naive oracles
queueing/ channels/ mail/ inbox/ intake/ metrics/ engine/ simulator/ loadtests/   one folder a room
journeys/      the whole engine on the real store, and as its user starts it
conftest       the bundled store, emptied for each test
"""
