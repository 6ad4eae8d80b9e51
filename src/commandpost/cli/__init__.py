"""The command line: one file per subcommand. Nothing is decided here that the server would decide."""
