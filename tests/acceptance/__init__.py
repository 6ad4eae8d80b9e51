"""Whole-system tests: HTTP in, devices out, real processes or a whole virtual world."""
