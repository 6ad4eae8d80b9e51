"""What is true with the power off: records, rules and ports. Standard library only; no I/O, no clock."""
