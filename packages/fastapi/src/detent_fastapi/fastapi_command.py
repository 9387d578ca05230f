"""`fastapi workflows`, for a program that extends FastAPI's own command. Needs fastapi-cli, which `fastapi[standard]` brings.

FastAPI's command knows no plugins, and imports no application before it has read its arguments. So it has these commands only
in a program that adds them and then runs it; `detent fastapi` has them without one.
"""

import typer
from fastapi import FastAPI
from fastapi_cli.cli import app as fastapi_cli

from detent_fastapi.commands import workflow_commands

_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def add_workflow_commands(app: FastAPI, *, cli: typer.Typer = fastapi_cli) -> None:
    """Add `workflows` to FastAPI's command, or to another one made with Typer: the commands for `app`.

    Typer's commands and click's do not mix, so that all that stands behind `workflows` is handed on as it was written.
    """

    def workflows(ctx: typer.Context) -> None:
        group = workflow_commands(app)
        group.main(args=ctx.args or ["--help"], prog_name=ctx.command_path)

    told = "Look at the application's workflows and mend them, fire what is due, and work for them."
    cli.command("workflows", help=told, context_settings=_PASSED_ON, add_help_option=False)(workflows)
