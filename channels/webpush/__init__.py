"""Push to browsers: Web Push (RFC 8030) over HTTP/2, one lane per push service.

    payload.py     what the service worker is told: JSON of an event, with the recipient's parts spliced in (pure)
    encryption.py  what the push service must not read: one aes128gcm record per message (RFC 8291, RFC 8188)
    vapid.py       who we are: a signed token per push service (RFC 8292)
    answers.py     what each answer means (pure, a table), and whom a refused key concerns
    client.py      `WebPushSender`, one lane's way out

Only `engine/composition.py` and tests import it.
"""
