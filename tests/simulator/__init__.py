"""Tests of the simulated providers: rules as tables, the protocol against the h2 library, stock clients on the wire."""
