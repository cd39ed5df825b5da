"""E-mail: letters, the table of answers, the client against a scripted relay."""
