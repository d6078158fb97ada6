"""opencode 1.18.33, as commands: `run --share`, automatic sharing, and `import` of our links."""

import pytest

from .conftest import MakeHome
from .images import image_part
from .model import bash, read, script, write
from .opencode import Client, Home, Session
from .shares import Share, legacy_key, wait_for_complete_copy, without_ids

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("client")]


def the_only_share(home: Home) -> tuple[str, Share]:
    """Return the session and the share of a home that has shared once."""
    ((session_id, record),) = home.known_shares().items()
    return session_id, Share.at(record["url"])


def check_user_said(share: Share, text: str) -> None:
    texts = [data.get("text") for key, data in share.items().items() if key.startswith("part/")]
    assert text in [said.strip('"') for said in texts if said is not None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        pytest.param(["--share"], {}, id="asked for"),
        pytest.param([], {"OPENCODE_AUTO_SHARE": "1"}, id="automatic"),
    ],
)
def test_run_shares_and_a_later_share_completes_it(
    make_home: MakeHome, arguments: list[str], environment: dict[str, str]
) -> None:
    """`run` exits before it sends its last changes, and automatic sharing sends two concurrent creates."""
    home = make_home()
    home.run("run", *arguments, "Hello from the command line.", environment=environment)

    session_id, share = the_only_share(home)
    check_user_said(share, "Hello from the command line.")
    with home.serve() as client:
        session = Session(client, session_id)
        assert session.share() == share.url
        wait_for_complete_copy(session, share)


@pytest.mark.slow
def test_import_of_a_link_reproduces_messages_and_parts(client: Client, make_home: MakeHome) -> None:
    session = client.start_session("To be imported")
    session.prompt(script(write("imported.txt", "one\n"), read("imported.txt"), bash("cat imported.txt")))
    session.prompt("And a second turn.")
    share = Share.at(session.share())
    wait_for_complete_copy(session, share)

    stranger = make_home()
    imported = stranger.export(stranger.import_link(share.url))
    assert imported["info"]["title"] == "To be imported"
    assert without_ids(imported["messages"]) == without_ids(session.messages())


@pytest.mark.slow
def test_every_import_is_a_session_of_its_own_with_all_messages(client: Client, make_home: MakeHome) -> None:
    """Ann shares, Bob imports, goes on and shares, Ann imports; and Ann imports her own link."""
    session = client.start_session("There and back")
    session.prompt("First.")
    session.prompt("Second.")
    share = Share.at(session.share())
    wait_for_complete_copy(session, share)
    ann, bob = make_home(), make_home()
    first, second = ann.import_link(share.url), ann.import_link(share.url)
    assert len({session.id, first, second}) == 3
    for name in (first, second):
        assert len(ann.export(name)["messages"]) == 4
    copied = bob.import_link(share.url)
    with bob.serve() as theirs:
        continued = Session(theirs, copied)
        continued.prompt("Third.")
        back = Share.at(continued.share())
        assert back.id != share.id
        wait_for_complete_copy(continued, back)
    assert len(ann.export(ann.import_link(back.url))["messages"]) == 6
    assert len(ann.export(first)["messages"]) == 4


@pytest.mark.slow
def test_an_attached_image_arrives_byte_for_byte(client: Client) -> None:
    attached = image_part(480_000, "noise.png")
    session = client.start_session()
    share = Share.at(session.share())

    session.prompt("What is this?", attached)

    copied = wait_for_complete_copy(session, share)
    (key,) = [key for key, data in copied.items() if key.startswith("part/") and data["type"] == "file"]
    assert copied[key]["url"] == attached["url"]
    shown_as = legacy_key(key, copied["session"]["id"])
    with share.watch() as viewer:
        assert viewer.wait_for(shown_as)[shown_as] == copied[key]
