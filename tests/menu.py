"""The console's menu, from the declarations of its pages."""

from collections.abc import Sequence
from typing import Any

from opencode_cloud.composition.console_pages import Console
from opencode_cloud.console.app import ConsoleApp
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.http.pages import pages_app


class Nothing:
    """A stand-in for services, which no page calls while it is registered."""

    def __getattr__(self, _name: str) -> "Nothing":
        return self


def console_menu(*, billing: bool = False) -> Sequence[ConsolePage]:
    """Return the pages of a workspace in the order of the menu, with those about money on demand."""
    nothing: Any = Nothing()
    app = ConsoleApp(nothing, nothing, nothing, "")
    services = {name: nothing for name in Console.__struct_fields__ if name != "app"}
    if not billing:
        services |= {"billing": None, "sells": False}
    Console(app, **services).mount(pages_app())
    return app.menu
