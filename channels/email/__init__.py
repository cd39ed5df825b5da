"""E-mail: one personal message a recipient, handed to one relay over SMTP.

settings    the relay, the sender's address, connections and deadlines
words       cleans what people wrote, so that it fits a header line or a text
phrases     what the mail itself says, in Danish and English
invitation  a calendar entry as iCalendar (RFC 5545), with a gap for the recipient (iMIP, RFC 6047)
headers     the header block: encoded subject, fixed order, scanned before use
payload     the whole letter, built once per event and language
letter      a finished letter, spliced per recipient
named       a letter whose text names the reader's children, cut where the names go
answers     the table: SMTP reply, enhanced code and stage -> outcome
smtp        the wire without the wire: replies in, commands out, who got what (RFC 5321, 2920)
session     one connection: greeting, TLS, login, pumping of commands
client      the pool of connections and the `Sender` port
templates/  the texts, plain and HTML

Imports records, outcomes, ports and `engine.rules.tickets` (signs the unsubscribe link) and
`engine.rules.children` (what an invitation says instead of names).
"""
