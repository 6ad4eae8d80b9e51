"""The tests of Commandpost, by kind: see the folder names."""
