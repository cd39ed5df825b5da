"""Web Push: encryption, answers, sender, devices, simulator, and the whole way."""
