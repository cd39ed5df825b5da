"""Names, units and sentences of every metric, and how they are shown."""
