"""The ways out: one folder a channel with the same three files each, `payload`, `answers`, `client`.

http2/      the multiplexed HTTP/2 sender under apns, fcm and webpush; knows nothing of the engine
apns/ fcm/ webpush/ email/ inapp/
notification.py   what a phone shows of an event, alike on every push provider
splice.py         a JSON body cut where readers differ, joined per reader
built_once.py     payloads, built once per event and language
signed_token.py   tokens that we sign ourselves: APNs, Web Push
shared_tokens.py  provider and access tokens, one per key
wire_outcomes.py  outcomes that every HTTP provider shares
simulator/  loopback providers that keep their own ledger; share no code with the clients
"""
