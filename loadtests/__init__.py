"""What loads and checks the engine from outside: over the network and by its commands, importing nothing of ours.

population/  a seeded model of municipalities, schools, families and their devices; writes NDJSON
oracle/      what must have happened, one person at a time, against the simulators' ledgers
bench/       `./klokke bench`: speed, measured beside peers
stage/       a real engine and simulated providers in a temporary folder
demo/        `./klokke demo`: a school day on that stage, and the verdict
"""
