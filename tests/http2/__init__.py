"""The HTTP/2 sender against RFC 9113, section by section, from the client's side; the `h2` library is the other end.

    ends.py                both ends of one connection in memory; h2 judges what we send
    test_settings.py       section 6.5: settings that change in mid-flight
    test_flow_control.py   sections 5.2 and 6.9: windows both ways
    test_streams.py        sections 5.1, 6.4, 6.8, 8.1: stream states, RST_STREAM, GOAWAY, answers in every shape
    test_frames.py         sections 4, 6 and 10.5: malformed frames, what is ignored, floods
    test_fuzz.py           any bytes and any order of frames; the fast way against a naive reader
    test_sockets.py        what only a socket shows: half-closed, unread, cut records, silence, addresses
    test_pieces.py         one answer in every shape, cut at every byte

`tests/channels/test_http2_*.py` hold the older ones, on the same peer.
"""
