"""What the operator's door says when it refuses; both of its sides know it."""


class AdminError(Exception):
    """A call was refused; `code` is stable, the message is for a person."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)
