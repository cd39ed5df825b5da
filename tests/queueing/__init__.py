"""The store's rooms against a real store: every verb, repeated, in any order, and from several hands at once."""
