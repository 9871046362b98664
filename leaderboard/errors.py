"""The one failure that a user of the leaderboard is meant to see."""


class InputError(ValueError):
    """What was asked for or handed in cannot be used; the message is one sentence that says what to do."""
