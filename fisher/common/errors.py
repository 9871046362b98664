"""The one exception that a user of fisher, regularizers or benchmarks is meant to read."""


class InputError(ValueError):
    """A request that cannot be carried out: one sentence on what must hold, what came and what to do."""
