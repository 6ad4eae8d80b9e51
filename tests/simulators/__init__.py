"""Stand-ins for what is on the other side of a socket."""
