"""Model providers that follow a script in the prompt: real HTTP servers for tests and benchmarks, working or failing.

One server plays any number of upstreams. The first segment of the path names the upstream
(`http://127.0.0.1:PORT/first/v1`). It speaks OpenAI's Chat Completions and Responses, Anthropic's Messages, Google's
generateContent, and Bedrock's binary event stream. The prompt contains the answer (`Script`), so the gateway under test
passes it on. The server records each request.
"""

from .formats import Wire
from .records import Record
from .scripts import Call, Fault, Kind, Script, Usage
from .server import Upstreams, running

__all__ = ["Call", "Fault", "Kind", "Record", "Script", "Upstreams", "Usage", "Wire", "running"]
