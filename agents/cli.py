"""The command `medina agent`."""

import typer


def agent() -> None:
    """Take in the measures of devices over MQTT and write them to the context broker."""
    import gc

    import uvloop

    from agents.agent import Agent, run_until_signalled
    from agents.errors import ConfigurationError
    from agents.logs import configure_logging
    from agents.settings import read_settings

    configure_logging()
    try:
        made = Agent(read_settings())
    except ConfigurationError as error:
        typer.echo(f"medina agent: {error}", err=True)
        raise typer.Exit(2) from None
    # Measures make many objects and hardly a cycle: the collector's usual rhythm would only cost time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    uvloop.run(run_until_signalled(made))


if __name__ == "__main__":
    typer.run(agent)
