"""The simulation: virtual time, the network in memory, devices and fleets."""
