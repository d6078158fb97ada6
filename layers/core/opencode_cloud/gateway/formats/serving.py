"""The name by which rules of models judge a call: limits, efforts and generations depend on the model that serves.

An upstream calls a model by its own name. A deployment of Azure or an inference profile of Bedrock can have any name,
and only the id in the catalogue then tells the model.
"""

from __future__ import annotations

import re

_TELLING = re.compile(
    r"(?:^|/)(?:o\d|gpt-\d|chatgpt)|claude-(?:[a-z]+-)?\d|claude-(?:mythos|fable)|gemini-(?:\d|pro|flash)"
    r"|gpt-oss|gemma|grok|llama|qwen|qwq|mi[sx]tral|ministral|magistral|codestral|devstral|deepseek|kimi|glm-|minimax"
    r"|nova-|command-|jamba|granite|nemotron|phi-\d|ernie|hunyuan",
    re.IGNORECASE,
)
"""Matches names that tell the model: those that rules know, and families to which no rule of another one may apply."""


def serving_name(upstream_model: str, model_id: str) -> str:
    """Return the name that tells the model that serves: the upstream's own, or the model's id in the catalogue.

    The upstream's name has precedence, because an id can be the name of another model.
    """
    if _TELLING.search(upstream_model) or not _TELLING.search(model_id):
        return upstream_model
    return model_id
