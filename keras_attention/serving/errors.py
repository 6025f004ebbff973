"""The error of a request that cannot be answered, whatever protocol it came by."""


class RequestError(Exception):
    """A request that cannot be answered.

    Attributes:
        status: HTTP status.
        message: what was wrong with it.
    """

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message
