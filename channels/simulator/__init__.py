"""Simulated APNs, FCM (with OAuth), Web Push and SMTP relay on loopback, each a process with a ledger of its own.

For our tests and for other teams' integration tests (docs/simulators.md): `./klokke simulate apns --help`, or in Python
`starting.start("apns", folder)`. They share no code with the clients in `channels/`, so that one misreading of a
provider's rules does not hide another. Imports nothing but itself; tests and the demo start it as a process.

From the outside in:

__main__, options    the command line, and what is built from it
starting             start one from a test, in a line
serving, providers   trio: accept, read, think, send; signals, the ledger's clock, the script's clock
pipe, certificates   TLS on loopback
http2, streams, outbox, frames, malformed            the server's side of HTTP/2, pure
blocks, layouts, shapes, header_table, huffman       its header blocks: known again, or decoded (HPACK)
http1                the same for HTTP/1.1 (h11)
service, answers     the door between protocol and provider
apns, apns_rules     Apple's rules                       provider_tokens: signed JWTs
fcm, fcm_rules, fcm_schema, oauth                        Google's rules
webpush, webpush_rules, webpush_keys                     Web Push, and the browsers behind it
smtp_session, smtp_service, smtp_rules, mail_rules       SMTP and mail
planned              addresses whose end is known beforehand (`dead...`, `busy...`)
script, faults       faults over time from a TOML file
ledger               what was received and answered, one line a request
"""
