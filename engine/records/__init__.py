"""The shared nouns: plain frozen records that every room may import.

    roster.py   a set of people as {block: 256-bit mask}, and its packed form
    words.py    the closed sets: channels, categories, urgencies, roles, ends, reasons
    event.py    what a backend service asked for, after validation
    forms.py    the forms of short texts: a pattern for the machine, a sentence for people
    municipalities.py  the codes of the 98 Danish municipalities
    placeholder.py  `{children}` in a text, and what is written in its place
    family.py   who is whose child: names, and where the children are pupils
    person.py   a person as the directory's import line and HTTP body spell it
    web_push.py a browser's subscription as the store keeps it and its lane's sender reads it
    inbox.py    an item of a person's in-app inbox, and the live hint that it came
    dates.py    names of days and months in the languages people read
    work.py     slices, claims, settlements: what waits, what is in hand, what happened

Nothing here awaits, reads a clock or knows a store. Records import only records.
"""
