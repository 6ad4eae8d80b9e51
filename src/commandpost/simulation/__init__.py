"""Devices and networks that exist in memory only, a loop whose time is virtual, and fleets of simulated devices."""
