"""The exception for everything that a user can fix."""


class UserError(Exception):
    """Wrong parameters, data or surroundings. The message says what is wrong, what is allowed and what to do."""
