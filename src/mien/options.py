"""Options that commands of several rooms take."""

import click

data_dir_option = click.option(
    "--data-dir",
    metavar="FOLDER",
    help="Where everything is kept; MIEN_DATA_DIR.  [default: ~/.local/share/mien, as root /var/lib/mien]",
)
