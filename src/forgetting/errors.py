"""Errors that are sentences: what is wrong, where, and what to do about it."""


class ForgettingError(Exception):
    """Base of every error that a user can mend; the command line prints it without a trace."""


class ParameterError(ForgettingError):
    """A parameter is unknown, misspelt, of the wrong type or out of range."""


class DataError(ForgettingError):
    """A data set is missing, incomplete or unreadable."""


class WeightsError(ForgettingError):
    """A weights file is missing, corrupt, or not what its record says."""


class TrainingError(ForgettingError):
    """A training cannot go on (a loss that is not finite, a checkpoint of another training)."""
