"""Push to iPhones and iPads: Apple's provider API over HTTP/2.

    payload.py     what is sent: body and headers of an event (pure)
    answers.py     what each answer means (pure, a table)
    credential.py  the provider token, one per signing key
    client.py      `ApnsSender`, one lane's way out

Only `engine/__main__.py` and tests import it.
"""
