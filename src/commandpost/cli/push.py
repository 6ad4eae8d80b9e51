"""`commandpost push add | list | remove | verify | failures | replay`."""

from functools import partial
from typing import Annotated, Any

import typer

from commandpost.cli.admin_verb import perform
from commandpost.cli.answers import print_fields, print_table
from commandpost.cli.options import ConfigOption, DataDirOption, JsonOption, ProductOption

app = typer.Typer(help="Who is told of a product's events, over HTTP.", no_args_is_help=True)

SubscriptionArgument = Annotated[str, typer.Argument(metavar="ID", help="The subscription.")]


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where messages are posted to; it is verified first.")],
    token: Annotated[
        str,
        typer.Option(
            "--token", envvar="COMMANDPOST_PUSH_TOKEN", help="Signs every request: 3 to 32 visible ASCII characters."
        ),
    ],
    aes_key: Annotated[
        str | None,
        typer.Option(
            "--aes-key",
            envvar="COMMANDPOST_PUSH_AES_KEY",
            help="The EncodingAESKey, 43 characters: messages are encrypted with it.",
            show_default=False,
        ),
    ] = None,
    kinds: Annotated[
        list[int] | None,
        typer.Option("--kind", help="1 datapoints, 2 devices coming and going, 7 ended commands; repeatable [all]."),
    ] = None,
    batch_count: Annotated[
        int | None, typer.Option("--batch-count", min=1, max=100, help="So many messages in one request.")
    ] = None,
    batch_interval_ms: Annotated[
        int | None,
        typer.Option("--batch-interval-ms", min=100, max=60_000, help="Or as many as came in so long [1000]."),
    ] = None,
    product: ProductOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Push the events of a product to a server that answers the verification."""
    parameters = {
        "product_id": product,
        "url": url,
        "token": token,
        "aes_key": aes_key,
        "kinds": kinds or None,
        "batch_count": batch_count,
        "batch_interval_ms": batch_interval_ms,
    }
    perform("push.add", parameters, config, data_dir, as_json=as_json, show=print_fields)


@app.command("list")
def list_subscriptions(
    product: ProductOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the subscriptions of a product."""
    columns = ("id", "url", "kinds", "encrypted", "batch", "created_at")
    show = partial(print_table, columns=columns, empty="no subscriptions here")
    perform("push.list", {"product_id": product}, config, data_dir, as_json=as_json, show=show)


@app.command()
def remove(
    subscription: SubscriptionArgument,
    product: ProductOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a subscription, and what waits for it; one that is not there is removed already."""

    def tell(answer: Any) -> None:  # Any: JSON
        print(f"subscription {subscription} was removed" + ("" if answer["removed"] else " already"))

    parameters = {"product_id": product, "subscription_id": subscription}
    perform("push.remove", parameters, config, data_dir, as_json=as_json, show=tell)


@app.command()
def verify(
    subscription: SubscriptionArgument,
    product: ProductOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a receiver again to show that it is one; nothing changes."""

    def tell(_: object) -> None:
        print(f"subscription {subscription} answers as it should")

    parameters = {"product_id": product, "subscription_id": subscription}
    perform("push.verify", parameters, config, data_dir, as_json=as_json, show=tell)


@app.command()
def failures(
    subscription: SubscriptionArgument,
    before: Annotated[
        str | None, typer.Option("--before", metavar="ID", help="Only those older than this one; turns the page.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="At most so many.")] = 30,
    product: ProductOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the events that were given up, newest first."""
    parameters = {"product_id": product, "subscription_id": subscription, "before": before, "limit": limit}
    columns = ("id", "device_id", "kind", "at", "failures", "failing_since", "given_up_at", "reason")
    show = partial(print_table, columns=columns, empty="nothing was given up")
    perform("push.failures", parameters, config, data_dir, as_json=as_json, show=show)


@app.command()
def replay(
    subscription: SubscriptionArgument,
    failure: Annotated[
        str | None, typer.Option("--failure", metavar="ID", help="Only this one [all].", show_default=False)
    ] = None,
    product: ProductOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what was given up again, behind what waits."""
    parameters = {"product_id": product, "subscription_id": subscription, "failure_id": failure}
    perform("push.replay", parameters, config, data_dir, as_json=as_json, show=_print_replayed)


def _print_replayed(answer: Any) -> None:  # Any: JSON
    count = answer["replayed"]
    print(f"{count} event{' is' if count == 1 else 's are'} told again")
