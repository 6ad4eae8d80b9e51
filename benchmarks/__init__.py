"""Throughput, latency and memory: `python -m benchmarks`.

Every figure stands beside its bare limit, measured in the same run and in turn with it, so that what is quoted is a
ratio. Nothing here is asserted in a test: machines differ, and so do their moods.
"""
