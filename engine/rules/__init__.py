"""The pure room: decisions as functions of records. No await, no clock, no random: `now` and the draw are arguments."""
