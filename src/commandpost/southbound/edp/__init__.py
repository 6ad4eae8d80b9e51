"""EDP devices over TCP: connections, and how payloads reach them."""
