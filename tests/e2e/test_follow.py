"""Follow a session of opencode 1.18.33 live, with our own client."""

import asyncio
import contextlib

import pytest

from opencode_cloud_client import ShareGone, follow
from tests.waiting import PATIENCE

from .model import bash, script, write
from .opencode import Client, Session
from .shares import Share, key_of, wait_for_complete_copy

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("client")]

TURNS = 4


def work(session: Session, share: Share) -> int:
    """Take some turns, wait until all items have arrived, and return the number of the last one."""
    for turn in range(TURNS):
        session.prompt(script(bash(f"seq {turn} 200"), write(f"followed-{turn}.txt", "x\n"), say=f"Turn {turn}."))
    wait_for_complete_copy(session, share)
    return share.get(f"/share/{share.id}/items").json()["seq"]


@pytest.mark.slow
async def test_a_follower_sees_every_turn_come_in_and_the_end(client: Client) -> None:
    session = client.start_session()
    share = Share.at(session.share())

    async with follow(share.origin, share.id) as follower:
        await follower.until_live()
        seen_live = follower.state.cursor
        turns = asyncio.create_task(asyncio.to_thread(work, session, share))
        while not turns.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await follower.update()
        last = turns.result()
        assert follower.counters.connections == 1
        assert follower.counters.resumes < follower.counters.frames_received / 2, "most items must come by push"

        async with asyncio.timeout(PATIENCE):
            state = await follower.until(last)
        assert state.cursor > seen_live
        assert {key_of(item): item["data"] for item in map(dict, state.data())} == share.items()

        await asyncio.to_thread(session.unshare)
        with pytest.raises(ShareGone):
            await asyncio.wait_for(follower.until(last + 1_000), timeout=PATIENCE)
