"""A turn of a conversation with the real model, from Python: no request, no route, no server."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.model
SCRIPT = """
import asyncio, json, sys
from swell.models.catalog import Catalog
from swell.options import Options
from swell.sandbox.renderer import Renderer
from swell.sandbox.schemas import SchemaChecker
from swell.scheduler.scheduler import Scheduler
from swell.settings import Settings
from swell.text.parsing.parts import Text
from swell.text.prompts.messages import Message
from swell.turns.conversation import Conversation, converse
from swell.turns.events import Finish, PromptRead
from swell.turns.request import TurnRequest
from swell.turns.services import Services

async def main():
    services = Services(Settings(), Scheduler(Settings()), Catalog(), Renderer(), SchemaChecker())
    request = TurnRequest(
        model=services.catalog.find("smollm2:135m", allow_path=False),
        options=Options(temperature=0, num_predict=40),
        schema='{"type": "object", "properties": {"city": {"type": "string", "maxLength": 9}}, "required": ["city"]}',
    )
    conversation = Conversation(messages=[Message(role="user", content="Where is the Eiffel Tower?")])
    try:
        events = [event async for event in converse(services, request, conversation)]
    finally:
        await services.renderer.close()
        await services.schemas.close()
        await services.scheduler.close()
    assert isinstance(events[0], PromptRead) and isinstance(events[-1], Finish)
    print(json.dumps({
        "text": "".join(event.text for event in events if isinstance(event, Text)),
        "reason": events[-1].done_reason,
        "tokens": events[-1].eval_count,
        "web": [name for name in ("starlette", "uvicorn", "swell.api") if name in sys.modules],
    }))

asyncio.run(main())
"""


def test_a_turn_needs_no_server() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert list(json.loads(told["text"])) == ["city"]
    assert told["reason"] == "stop"
    assert 0 < told["tokens"] <= 40
    assert told["web"] == []
