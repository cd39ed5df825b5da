"""Endpoints that would lead a sender elsewhere, or that say the right place in a wrong way."""

from __future__ import annotations

ORIGIN = "https://push.example"

ELSEWHERE = [
    "https://127.0.0.1/push/1", "https://localhost/push/1", "https://[::1]/push/1", "https://0.0.0.0/push/1",
    "https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/latest/meta-data/",
    "https://metadata.google.internal/computeMetadata/v1/", "https://10.0.0.1/", "https://192.168.0.1:6379/x",
    "https://2130706433/push/1", "https://0x7f000001/push/1", "https://0177.0.0.1/push/1", "https://127.1/push/1",
    "https://[::ffff:127.0.0.1]/push/1", "https://evil.example/push/1", "https://example/push/1",
    # another host that begins, ends or is dressed up as the right one
    "https://push.example.evil.example/push/1", "https://evil-push.example/push/1", "https://xpush.example/push/1",
    "https://push.example./push/1", "https://push.example%2eevil.example/push/1", "https://push.example%00.evil/push/1",
    "https://push.example@evil.example/push/1", "https://user:password@push.example/push/1",
    "https://push.example:@evil.example/", "https://evil.example#@push.example/push/1",
    "https://evil.example?@push.example/push/1", "https://evil.example/https://push.example/push/1",
    "https://push.example#.evil.example/push/1", "https://push.example?/push/1", "https://push.example;evil/push/1",
    # the right host, spelled in a way that no browser spells it
    "https://PUSH.EXAMPLE/push/1", "https://push.example:443/push/1", "https://push.example:8443/push/1",
    "https://push.example:/push/1", "https://push.example:0x1bb/push/1", "https://push.example", "https://push.example/",
    # other schemes
    "http://push.example/push/1", "HTTPS://push.example/push/1", "ftp://push.example/push/1", "file:///etc/passwd",
    "gopher://push.example/_x", "javascript:alert(1)", "//push.example/push/1", "/push/1", "push.example/push/1", "",
    "https:push.example/push/1", "https:/push.example/push/1", "https:///push.example/push/1", "https://", "https:///",
    # line ends, blanks, letters from elsewhere, broken escapes, fragments
    "https://push.example/push/1\r\nHost: evil.example", "https://push.example/push/1\n", " https://push.example/push/1",
    "https://push.example/push/1 ", "https://push.example/\tpush", "https://push.example/\x00", "https://push.example\t/x",
    "https://push.example/\u202e1", "https://pu\u0455h.example/push/1", "https://push\u3002example/push/1",
    "https://push.example/%zz", "https://push.example/%", "https://push.example/push/1#part",
    "https://push.example\\@evil.example/", "https:\\\\push.example\\push\\1", "https://push.example/\\evil",
    'https://push.example/"', "https://push.example/<script>",
    # paths that no push service makes
    "https://push.example//evil.example/x", "https://push.example/../../x", "https://push.example/push/./1",
    "https://push.example/%2e%2e/x", "https://push.example/push/..", "https://push.example/push/..?x=1",
]  # fmt: skip
"""None of these is an endpoint of ORIGIN as browsers write it."""

GOOD = [
    "https://push.example/push/1",
    "https://push.example/wpush/v2/gAAAAABl-_~.!$&'()*+,;=:@%2F?token=a/b?c",
]
