"""Population model, oracle, demo and load tests. Talks to the engine over the network only; imports nothing of ours."""
