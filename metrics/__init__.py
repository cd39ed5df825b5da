"""What can be measured, and how it is shown.

    catalogue    every metric: name, unit, labels, the sentence that explains it
    weighted_histogram  a histogram that takes a whole slice at once
    observer     hears what the engine does and moves the metrics (port: Observer)
    exposition   serves /metrics of one process

Labels come from closed sets (channel, category, urgency, end, reason, lane); never a person, a token or a text.
"""
