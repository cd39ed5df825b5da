"""The ways out: one folder a channel with the same three files each, `payload`, `answers`, `client`.

http2/      the multiplexed HTTP/2 sender under apns and fcm; knows nothing of the engine
apns/ fcm/ email/ inapp/
simulator/  loopback providers that keep their own ledger; share no code with the clients
"""
