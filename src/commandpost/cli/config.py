"""`commandpost config`: every setting, what it may be, and what it is here."""

from dataclasses import asdict

from commandpost.cli.answers import print_json, print_table
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption, read_settings
from commandpost.config import describe_settings


def config(config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Show every setting: file, then environment, then flags decide.

    `part.name` is the key `name` in the table `[part]` of the TOML file, and COMMANDPOST_PART_NAME in the environment.
    """
    rows = [asdict(description) for description in describe_settings(read_settings(config, data_dir))]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ("key", "value", "allowed", "what"), empty="no settings")
