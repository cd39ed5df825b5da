"""The stage: a real engine with simulated providers in a temporary folder, for the demo and the benchmarks.

building.py   keys, simulated providers, configuration, engine: built in a temporary folder and taken down
settings.py   what is to stand, and the text of `klokke.toml`
processes.py  one started program: its log, whether it still runs, how it is stopped
api.py        the engine's HTTP, as a backend service and as a person's app see it
filling.py    makes the population and imports it
"""
