"""`./klokke bench engine`: the whole engine from a 202 to the last provider answer, on two cores with everything else.

command.py    the command line, and the order of things
preparing.py  brings a population into the store, or finds the one that an earlier run kept
people.py     what the population says must be delivered, and its classes
blast.py      the national event, urgent messages beside it, until nothing lives
gauges.py     CPU and memory of each process, the store's own figures
ledgers.py    what the simulated providers received of each event
figures.py    all of it as figures, faults and targets
tables.py     as tables and sentences
"""
