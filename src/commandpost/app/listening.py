"""How the addresses of listeners are written, wherever they are bound."""

from commandpost.config import ListenAddress


def format_address(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """Write where a socket listens as it would be given."""
    return str(ListenAddress(host=address[0], port=address[1]))


def bind_fault(name: str, address: ListenAddress, error: OSError) -> str:
    """Say which flag's address cannot be bound."""
    return f"--{name} {address} cannot be bound: {error.strerror or error}"
