"""Sans-IO protocol engines: what bytes mean.

Each engine takes bytes, requests and `now`, and gives bytes, events and a deadline. No socket, clock, task or source
of randomness lives here; drivers in `southbound/` and `simulation/` supply them.
"""
