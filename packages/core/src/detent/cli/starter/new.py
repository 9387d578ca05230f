"""`detent new`: a project that runs, to begin with."""

from pathlib import Path

import rich_click as click
from pydantic import BaseModel

from detent.cli.starter.project import fault_of, project_files, write_project
from detent.cli.terminal import one_line


class NewProjectView(BaseModel):
    """What was written."""

    folder: str
    files: list[str]


@click.command()
@click.argument("name")
@click.option("--litestar", "framework", flag_value="litestar", help="An application of Litestar.")
@click.option("--fastapi", "framework", flag_value="fastapi", help="An application of FastAPI.")
@click.option("--json", "as_json", is_flag=True, help="Answer JSON.")
def new(name: str, framework: str | None, as_json: bool) -> None:
    """Begin a project in a new folder NAME: an application, one workflow, its tests."""
    if framework is None:
        raise click.UsageError("of which framework? --litestar or --fastapi")
    fault = fault_of(name)
    if fault is not None:
        raise click.BadParameter(one_line(f"{name!r} is no name for a project: {fault}"), param_hint="NAME")
    contents = project_files(framework, name)
    try:
        write_project(Path(name), contents)
    except OSError as error:
        raise click.ClickException(one_line(f"{name} cannot be made: {error.strerror or error}")) from error
    if as_json:
        click.echo(NewProjectView(folder=name, files=[str(path) for path in contents]).model_dump_json(indent=2))
        return
    for path in contents:
        click.echo(f"{name}/{path}")
    click.echo(f"\ncd {name}, and go on as README.md says")
