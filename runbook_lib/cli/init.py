"""`runbook init DIR`: the notebooks and parameters, for a team to make its own."""

import json
from pathlib import Path

import click

from runbook_lib.cli._options import json_option


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@json_option
def command(directory: Path, *, as_json: bool) -> None:
    """Copies notebooks/ and parameters/ into DIRECTORY; never overwrites a file."""
    import shutil

    from runbook_lib import workspace
    from runbook_lib.errors import UsageError

    there = [name for name in ("notebooks", "parameters") if (directory / name).exists()]
    if there:
        raise UsageError(f"{directory} has {' and '.join(there)} already: nothing was copied; choose an empty folder")
    source = workspace.packaged()
    try:
        for name in ("notebooks", "parameters"):
            shutil.copytree(source / name, directory / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    except OSError as error:
        raise UsageError(f"{directory} cannot be filled: {error.strerror or error}") from error
    copied = sorted(str(p.relative_to(directory)) for p in directory.rglob("*.*") if p.is_file())
    following = "copy parameters/profiles/sandbox.yaml and name your own systems in it"
    text = f"{directory}: {len(copied)} files. Next: {following}."
    click.echo(json.dumps({"directory": str(directory.absolute()), "files": copied}) if as_json else text)
