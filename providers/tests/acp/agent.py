"""An agent made with the protocol's official SDK for Python, which does what the prompt's first word asks for."""

import asyncio
import os
import sys
from pathlib import Path

import acp
from acp.schema import (
    AgentCapabilities,
    Cost,
    Implementation,
    PermissionOption,
    SessionMode,
    SessionModeState,
    ToolCallUpdate,
    Usage,
    UsageUpdate,
)


class Agent:
    def on_connect(self, conn):
        self.client = conn
        self.cancelled = asyncio.Event()
        self.mode = "usual"
        self.known = False

    async def initialize(self, protocol_version, client_capabilities=None, client_info=None, **_):
        self.client_info = client_info
        if os.environ.get("WILL") == "crash":
            print("it cannot go on", file=sys.stderr)
            sys.stderr.flush()
            os._exit(3)
        return acp.InitializeResponse(
            protocol_version=99 if os.environ.get("WILL") == "newer" else protocol_version,
            agent_capabilities=AgentCapabilities(),
            agent_info=Implementation(name="tester", title="The Tester", version="1.2"),
        )

    async def authenticate(self, method_id, **_):
        if method_id != "key":
            raise acp.RequestError.invalid_params({"details": f"there is no method {method_id}"})
        self.known = True

    async def new_session(self, cwd, mcp_servers=None, **_):
        if os.environ.get("WILL") == "login" and not self.known:
            raise acp.RequestError.auth_required({"details": "run `tester login`"})
        self.cwd = Path(cwd)
        modes = [SessionMode(id="usual", name="Usual"), SessionMode(id="plan", name="Plan")]
        state = SessionModeState(current_mode_id="usual", available_modes=modes)
        return acp.NewSessionResponse(session_id="one", modes=state)

    async def set_session_mode(self, mode_id, session_id, **_):
        self.mode = mode_id

    async def cancel(self, session_id, **_):
        self.cancelled.set()

    async def say(self, text):
        await self.client.session_update("one", acp.update_agent_message_text(text))

    async def ask(self, kind):
        call = ToolCallUpdate(tool_call_id="call", title="Something", kind=kind)
        options = [
            PermissionOption(option_id="ever", name="Always", kind="allow_always"),
            PermissionOption(option_id="once", name="Once", kind="allow_once"),
            PermissionOption(option_id="no", name="No", kind="reject_once"),
        ]
        answer = await self.client.request_permission(session_id="one", tool_call=call, options=options)
        return getattr(answer.outcome, "option_id", answer.outcome.outcome)

    async def prompt(self, prompt, session_id, **_):
        asked = "".join(block.text for block in prompt)
        word = asked.split()[-1]
        stop = "end_turn"
        if word == "work":
            await self.client.session_update("one", acp.update_agent_thought_text("Hm."))
            for piece in ["I look ", "around."]:
                await self.say(piece)
            await self.client.session_update("one", acp.start_tool_call("call", "Look", kind="read"))
            answers = [await self.ask(kind) for kind in ["read", "edit"]]
            size = UsageUpdate(session_update="usage_update", used=10, size=100, cost=Cost(amount=0.0125, currency="USD"))
            await self.client.session_update("one", size)
            await self.say(f"{self.mode}: {' '.join(answers)}, {Path.cwd()}, {self.client_info.name}, {sys.argv[1:]}")
        elif word == "echo":
            await self.say(asked)
        elif word in ("wait", "deaf"):
            await self.say("I work.")
            (self.cwd / "pid").write_text(f"{os.getpid()}\n")
            if word == "deaf":
                await asyncio.sleep(3600)
            await self.cancelled.wait()
            (self.cwd / "cancelled").write_text("yes\n")
            stop = "cancelled"
        elif word == "crash":
            await self.say("Oh.")
            await asyncio.sleep(0.05)
            print("I fell over\n", file=sys.stderr)
            sys.stderr.flush()
            os._exit(3)
        elif word == "fail":
            raise acp.RequestError.internal_error({"details": "the disk is full"})
        elif word == "flood":
            for _ in range(100):
                await self.say("x" * 10_000)
        elif word == "file":
            try:
                await self.client.read_text_file(session_id="one", path="/etc/hostname")
                await self.say("I have it.")
            except acp.RequestError as refused:
                await self.say(f"refused with {refused.code}")
        elif word in ("refusal", "max_tokens", "max_turn_requests", "cancelled"):
            await self.say("So far.")
            stop = word
        usage = Usage(total_tokens=1130, input_tokens=100, output_tokens=20, thought_tokens=10, cached_read_tokens=1000)
        return acp.PromptResponse(stop_reason=stop, usage=usage if word == "work" else None)


asyncio.run(acp.run_agent(Agent()))
