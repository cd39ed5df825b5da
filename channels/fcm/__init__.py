"""Push to Android: Firebase Cloud Messaging, HTTP v1 over HTTP/2.

    payload.py     what is sent: the body of an event, with the recipient's parts spliced in (pure)
    answers.py     what each answer means (pure, a table)
    credential.py  the OAuth access token of a service account
    client.py      `FcmSender`, one lane's way out

Only `engine/__main__.py` and tests import it.
"""
