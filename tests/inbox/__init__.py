"""The inbox: the store against a naive model, and the gateway over real sockets."""
