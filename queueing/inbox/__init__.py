"""The in-app inbox in the store: exactly one item per person and event, however often it is delivered.

keys     names of the keys; everything about a person lies in one of 16 groups, block % 16
packing  the bytes of a list, a shelf and a hint, and what is dropped from a full list (pure)
counting what many people have not read, from those bytes (pure)
store    `StoreInbox`, the port `engine.ports.Inbox`

Scripts: inbox_deliver, inbox_shelve, inbox_mark, inbox_replace, inbox_find_listed, inbox_find_shelved.
"""
