"""Model providers that do what the prompt tells them: real HTTP servers for tests and benchmarks, well-behaved or not.

One server plays any number of upstreams: the first segment of the path names the one that is meant
(`http://127.0.0.1:PORT/first/v1`). It speaks OpenAI's Chat Completions and Responses, Anthropic's Messages, Google's
generateContent, and Bedrock's binary event stream. What it answers is written in the prompt (`Script`), so that it
comes through whatever stands between; each request is recorded.
"""

from .formats import Wire
from .records import Record
from .scripts import Call, Fault, Kind, Script, Usage
from .server import Upstreams, running

__all__ = ["Call", "Fault", "Kind", "Record", "Script", "Upstreams", "Usage", "Wire", "running"]
