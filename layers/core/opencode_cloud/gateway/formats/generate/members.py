"""Members of requests of generateContent on the way to another format."""

from __future__ import annotations

from opencode_cloud.gateway.formats.members import rules

_ANSWER = "the answer has no place for it"

MEMBERS = rules(
    carry="contents generationConfig.maxOutputTokens generationConfig.temperature generationConfig.topP "
    "generationConfig.topK generationConfig.seed generationConfig.frequencyPenalty generationConfig.presencePenalty",
    translate={
        "systemInstruction": "",
        "tools": "tools of the provider are dropped",
        "toolConfig": "it is left out with the tools",
        "generationConfig.responseMimeType": "",
        "generationConfig.responseSchema": "",
        "generationConfig.responseJsonSchema": "",
        "generationConfig._responseJsonSchema": "",
        "generationConfig.thinkingConfig": "",
        "generationConfig.candidateCount": "one answer only; more are refused",
        "generationConfig.responseModalities": "text only; sound is refused",
    },
    emulate={"generationConfig.stopSequences": "the gateway ends the answer where the target has no such member"},
    drop={
        "model": "the path names the model",
        "safetySettings": "other formats have none",
        "labels": "they are for the vendor's bill",
        "store": "the gateway stores nothing at providers",
        "serviceTier": "tiers without a price are refused earlier",
        "generationConfig.mediaResolution": "it changes the price only",
    },
    refuse={
        "cachedContent": "the provider stores it",
        "generationConfig.responseLogprobs": _ANSWER,
        "generationConfig.speechConfig": _ANSWER,
        "generationConfig.imageConfig": _ANSWER,
        "generationConfig.responseFormat": "send `responseJsonSchema`",
        "generationConfig.translationConfig": "it changes the answer",
    },
)
