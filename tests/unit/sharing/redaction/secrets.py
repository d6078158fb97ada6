"""Made-up secrets of many formats, and the texts in which agents and people show them.

The forms follow what the issuers document or issue, not the rules under test. Nothing here is a secret of anybody.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LETTERS, DIGITS, HEX = string.ascii_letters, string.digits, "0123456789abcdef"
WORD = LETTERS + DIGITS
URL_SAFE = WORD + "-_"
BASE64 = WORD + "+/"
UPPER = string.ascii_uppercase + DIGITS


class Draw:
    """Random characters of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def of(self, alphabet: str, least: int, most: int = 0) -> str:
        """Return ``least`` to ``most`` characters of ``alphabet``."""
        length = self.random.randint(least, max(least, most))
        return "".join(self.random.choice(alphabet) for _ in range(length))

    def pick(self, *values: str) -> str:
        return self.random.choice(values)

    def token(self, alphabet: str, length: int) -> str:
        """Return characters among which are letters and digits, as in every random token of some length."""
        while True:
            drawn = self.of(alphabet, length)
            if any(c.isdigit() for c in drawn) and any(c.isalpha() for c in drawn):
                return drawn


def _pem(draw: Draw, kind: str, lines: int) -> str:
    body = "\n".join(draw.of(BASE64, 64) for _ in range(lines))
    return f"-----BEGIN {kind}-----\n{body}\n{draw.of(BASE64, 20)}==\n-----END {kind}-----"


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _jwt(draw: Draw) -> str:
    claims = {"sub": draw.of(DIGITS, 10), "iss": "https://login.example.com", "exp": 1_900_000_000}
    return f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}.{draw.of(URL_SAFE, 86)}"


def _google_json(draw: Draw) -> str:
    return _pem(draw, "PRIVATE KEY", 24)


def _uuid(draw: Draw) -> str:
    return "-".join(draw.of(HEX, size) for size in (8, 4, 4, 4, 12))


FORMATS: Mapping[str, Callable[[Draw], str]] = {
    "age": lambda d: "AGE-SECRET-KEY-1" + d.of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
    "anthropic": lambda d: f"sk-ant-api03-{d.of(URL_SAFE, 93)}AA",
    "anthropic-admin": lambda d: f"sk-ant-admin01-{d.of(URL_SAFE, 93)}AA",
    "anthropic-oauth": lambda d: f"sk-ant-{d.pick('oat', 'ort')}01-{d.of(URL_SAFE, 93)}AA",
    "aws-access-key": lambda d: d.pick("AKIA", "ASIA") + d.of(string.ascii_uppercase + "234567", 16),
    "azure-client": lambda d: f"{d.of(WORD, 3)}8Q~{d.of(URL_SAFE, 31)}{d.of(WORD, 3)}",
    "cerebras": lambda d: "csk-" + d.token(string.ascii_lowercase + DIGITS, 48),
    "compatible": lambda d: "sk-" + d.pick(d.token(HEX, 32), d.token(WORD, 48), d.token(WORD, 64)),
    "databricks": lambda d: "dapi" + d.of(HEX, 32),
    "digitalocean": lambda d: "dop_v1_" + d.of(HEX, 64),
    "doppler": lambda d: "dp.pt." + d.of(WORD, 43),
    "ec-private-key": lambda d: _pem(d, "EC PRIVATE KEY", 2),
    "fireworks": lambda d: "fw_" + d.token(WORD, 24),
    "github-app": lambda d: d.pick("ghu_", "ghs_") + d.token(WORD, 36),
    "github-fine-grained": lambda d: f"github_pat_{d.of(WORD, 22)}_{d.of(WORD, 59)}",
    "github-oauth": lambda d: "gho_" + d.token(WORD, 36),
    "github-personal": lambda d: "ghp_" + d.token(WORD, 36),
    "github-refresh": lambda d: "ghr_" + d.token(WORD, 36),
    "gitlab-personal": lambda d: "glpat-" + d.token(WORD, 20),
    "gitlab-runner": lambda d: "glrt-" + d.token(WORD, 20),
    "google-api": lambda d: "AIza" + d.token(URL_SAFE, 34) + d.of(WORD, 1),
    "google-oauth": lambda d: d.pick("ya29.a0" + d.of(URL_SAFE, 160), "GOCSPX-" + d.of(URL_SAFE, 28)),
    "google-service-account": _google_json,
    "grafana": lambda d: f"glsa_{d.of(WORD, 32)}_{d.of(HEX, 8)}",
    "groq": lambda d: "gsk_" + d.token(WORD, 52),
    "hugging-face": lambda d: "hf_" + d.of(LETTERS, 34),
    "jwt": _jwt,
    "linear": lambda d: "lin_api_" + d.token(WORD, 40),
    "notion": lambda d: f"ntn_{d.of(DIGITS, 11)}{d.of(WORD, 35)}",
    "npm": lambda d: "npm_" + d.token(WORD, 36),
    "nvidia": lambda d: f"nvapi-{d.of(URL_SAFE, 63)}{d.of(WORD, 1)}",
    "openai-project": lambda d: f"sk-proj-{d.of(URL_SAFE, 74)}T3BlbkFJ{d.of(URL_SAFE, 73)}{d.of(WORD, 1)}",
    "openai-user": lambda d: f"sk-{d.of(WORD, 20)}T3BlbkFJ{d.of(WORD, 20)}",
    "opencode-cloud": lambda d: "oc_sk_" + d.token(URL_SAFE, 43),
    "openrouter": lambda d: "sk-or-v1-" + d.token(HEX, 64),
    "openssh-private-key": lambda d: _pem(d, "OPENSSH PRIVATE KEY", 6),
    "perplexity": lambda d: "pplx-" + d.token(WORD, 48),
    "pgp-private-key": lambda d: _pem(d, "PGP PRIVATE KEY BLOCK", 12),
    "postman": lambda d: f"PMAK-{d.of(HEX, 24)}-{d.of(HEX, 34)}",
    "pulumi": lambda d: "pul-" + d.of(HEX, 40),
    "pypi": lambda d: "pypi-AgEIcHlwaS5vcmc" + d.of(URL_SAFE, 140) + d.of(WORD, 1),
    "replicate": lambda d: "r8_" + d.token(WORD, 37),
    "rsa-private-key": lambda d: _pem(d, "RSA PRIVATE KEY", 12),
    "rubygems": lambda d: "rubygems_" + d.of(HEX, 48),
    "sendgrid": lambda d: f"SG.{d.of(URL_SAFE, 22)}.{d.of(URL_SAFE, 42)}{d.of(WORD, 1)}",
    "shopify": lambda d: d.pick("shpat_", "shpss_") + d.of(HEX, 32),
    "slack-app": lambda d: f"xapp-1-{d.of(UPPER, 11)}-{d.of(DIGITS, 13)}-{d.of(HEX, 64)}",
    "slack-bot": lambda d: f"xoxb-{d.of(DIGITS, 12)}-{d.of(DIGITS, 12)}-{d.of(WORD, 24)}",
    "slack-user": lambda d: f"xoxp-{d.of(DIGITS, 12)}-{d.of(DIGITS, 12)}-{d.of(DIGITS, 12)}-{d.of(HEX, 32)}",
    "slack-webhook": lambda d: f"https://hooks.slack.com/services/T{d.of(UPPER, 8)}/B{d.of(UPPER, 8)}/{d.of(WORD, 24)}",
    "stripe": lambda d: d.pick("sk_live_", "sk_test_", "rk_live_") + d.token(WORD, 24),
    "twilio": lambda d: "SK" + d.token(HEX, 32),
    "vault": lambda d: "hvs." + d.of(URL_SAFE, 95) + d.of(WORD, 1),
    "vercel-gateway": lambda d: "vck_" + d.token(WORD, 56),
    "webhook": lambda d: "whsec_" + d.token(WORD, 32),
    "xai": lambda d: "xai-" + d.token(WORD, 80),
}
"""Secrets that their own form shows."""
NAMED: Mapping[str, tuple[str, Callable[[Draw], str]]] = {
    "aws-secret-key": ("AWS_SECRET_ACCESS_KEY", lambda d: d.token(BASE64, 40)),
    "cloudflare": ("CLOUDFLARE_API_TOKEN", lambda d: d.token(WORD, 40)),
    "database-password": ("DB_PASSWORD", lambda d: d.token(WORD, 24)),
    "datadog": ("DATADOG_API_KEY", lambda d: d.token(HEX, 32)),
    "generic": ("SERVICE_API_KEY", lambda d: d.token(WORD, 32)),
    "heroku": ("HEROKU_API_KEY", _uuid),
    "mailgun": ("MAILGUN_API_KEY", lambda d: "key-" + d.token(HEX, 32)),
    "secret": ("CLIENT_SECRET", lambda d: d.token(URL_SAFE, 43)),
    "telegram": ("TELEGRAM_BOT_TOKEN", lambda d: f"{d.of(DIGITS, 10)}:A{d.of(URL_SAFE, 33)}{d.of(WORD, 1)}"),
    "token": ("ACCESS_TOKEN", lambda d: d.token(WORD, 40)),
    "algolia": ("ALGOLIA_ADMIN_KEY", lambda d: d.token(HEX, 32)),
    "amplitude": ("AMPLITUDE_SECRET_KEY", lambda d: d.token(HEX, 32)),
    "aws-session": ("AWS_SESSION_TOKEN", lambda d: f"IQoJb3JpZ2luX2Vj{d.token(BASE64, 300)}="),
    "azure-openai": ("AZURE_OPENAI_API_KEY", lambda d: d.token(HEX, 32)),
    "azure-storage": ("AZURE_STORAGE_KEY", lambda d: d.token(BASE64, 86) + "=="),
    "circleci": ("CIRCLECI_TOKEN", lambda d: d.token(HEX, 40)),
    "cloudflare-global": ("CLOUDFLARE_API_KEY", lambda d: d.token(HEX, 37)),
    "cohere": ("COHERE_API_KEY", lambda d: d.token(WORD, 40)),
    "datadog-application": ("DD_APP_KEY", lambda d: d.token(HEX, 40)),
    "deepgram": ("DEEPGRAM_API_KEY", lambda d: d.token(HEX, 40)),
    "discord": ("DISCORD_BOT_TOKEN", lambda d: f"{d.of(WORD, 24)}.{d.of(WORD, 6)}.{d.token(WORD, 38)}"),
    "elevenlabs": ("ELEVENLABS_API_KEY", lambda d: d.token(HEX, 32)),
    "encryption": ("ENCRYPTION_KEY", lambda d: d.token(BASE64, 43) + "="),
    "fastly": ("FASTLY_API_TOKEN", lambda d: d.token(WORD, 32)),
    "launchdarkly": ("LAUNCHDARKLY_ACCESS_TOKEN", lambda d: f"api-{_uuid(d)}"),
    "mailchimp": ("MAILCHIMP_API_KEY", lambda d: f"{d.token(HEX, 32)}-us{d.of('123456789', 1)}"),
    "mailgun-new": ("MAILGUN_API_KEY", lambda d: f"{d.token(HEX, 32)}-{d.of(HEX, 8)}-{d.of(HEX, 8)}"),
    "mistral": ("MISTRAL_API_KEY", lambda d: d.token(WORD, 32)),
    "new-relic": ("NEW_RELIC_LICENSE_KEY", lambda d: d.token(HEX, 36) + "NRAL"),
    "nextauth": ("NEXTAUTH_SECRET", lambda d: d.token(BASE64, 43) + "="),
    "okta": ("OKTA_API_TOKEN", lambda d: "00" + d.token(WORD, 40)),
    "pagerduty": ("PAGERDUTY_TOKEN", lambda d: d.token(WORD, 20)),
    "pinecone": ("PINECONE_API_KEY", _uuid),
    "segment": ("SEGMENT_WRITE_KEY", lambda d: d.token(WORD, 32)),
    "sentry": ("SENTRY_AUTH_TOKEN", lambda d: d.token(HEX, 64)),
    "session": ("SESSION_SECRET", lambda d: d.token(HEX, 64)),
    "slack-signing": ("SLACK_SIGNING_SECRET", lambda d: d.token(HEX, 32)),
    "snyk": ("SNYK_TOKEN", _uuid),
    "twilio-token": ("TWILIO_AUTH_TOKEN", lambda d: d.token(HEX, 32)),
}
"""Secrets that only the name of a variable shows."""
ENCLOSED: Mapping[str, tuple[str, Callable[[Draw], str]]] = {
    "bearer": ("curl -H 'Authorization: Bearer {}' https://api.example.com/v1", lambda d: d.token(WORD, 40)),
    "database-url": ("DATABASE_URL=postgres://app:{}@db.example.com:5432/app", lambda d: d.token(WORD, 16)),
    "git-remote": ("origin\thttps://ada:{}@git.example.com/acme/api.git (push)", lambda d: d.token(WORD, 20)),
    "authorization": ("GET / HTTP/1.1\r\nAuthorization: {}\r\nHost: example.com", lambda d: d.token(WORD, 40)),
    "azure-account": (
        "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={};EndpointSuffix=core.windows.net",
        lambda d: d.token(BASE64, 86) + "==",
    ),
    "azure-bus": (
        "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={}",
        lambda d: d.token(BASE64, 43) + "=",
    ),
    "azure-link": (
        "https://acme.blob.core.windows.net/c/b?sv=2022-11-02&sr=b&sp=r&sig={}",
        lambda d: f"{d.token(WORD, 20)}%2F{d.token(WORD, 20)}%3D",
    ),
    "aws-link": (
        "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={}",
        lambda d: d.token(HEX, 64),
    ),
    "bearer-hex": ('{{"headers": {{"Authorization": "Bearer {}"}}}}', lambda d: d.token(HEX, 64)),
    "cloudflare-header": ("curl -H 'X-Auth-Key: {}' https://api.cloudflare.com", lambda d: d.token(HEX, 37)),
    "cookie": ("Cookie: theme=dark; session={}; lang=en", lambda d: d.token(WORD, 64)),
    "set-cookie": ("Set-Cookie: sid={}; Path=/; HttpOnly", lambda d: d.token(WORD, 64)),
    "datadog-header": ("DD-API-KEY: {}", lambda d: d.token(HEX, 32)),
    "django": ("SECRET_KEY = 'django-insecure-{}'", lambda d: d.token(WORD + "!@#%^&*(-_=+)", 50)),
    "docker-login": ("docker login -u ada -p {} registry.example.com", lambda d: d.token(WORD, 30)),
    "fastly-header": ('curl -H "Fastly-Key: {}" https://api.fastly.com', lambda d: d.token(WORD, 32)),
    "jdbc": ("jdbc:postgresql://db.example.com/app?user=app&password={}&ssl=true", lambda d: d.token(WORD, 20)),
    "libpq": ("psql 'host=db.example.com user=app password={} dbname=app'", lambda d: d.token(WORD, 20)),
    "mysql-command": ("mysql -h db.example.com -u root -p{} app", lambda d: d.token(WORD, 16)),
    "mysql-variable": ("MYSQL_PWD={} mysql -u root app", lambda d: d.token(WORD, 16)),
    "netrc": ("machine example.com login ada password {}", lambda d: d.token(WORD, 20)),
    "npm-registry": ("//registry.example.com/:_authToken={}", lambda d: d.token(WORD, 40)),
    "odbc": ("Server=db.example.com;Uid=root;Pwd={};", lambda d: d.token(WORD, 16)),
    "okta-header": ("curl -H 'Authorization: SSWS {}' https://acme.okta.com", lambda d: "00" + d.token(WORD, 40)),
    "opsgenie": ("curl -H 'Authorization: GenieKey {}' https://api.opsgenie.com", _uuid),
    "pgpass": ("db.example.com:5432:app:app:{}\n", lambda d: d.token(WORD, 20)),
    "sql-server": (
        "Server=tcp:db.example.com,1433;Database=app;User ID=sa;Password={};Encrypt=true",
        lambda d: d.token(WORD, 20),
    ),
    "ssh-password": ("sshpass -p '{}' ssh ada@example.com", lambda d: d.token(WORD, 12)),
    "redis-url": ('redis = Redis("redis://:{}@cache.example.com:6379")', lambda d: d.token(WORD, 18)),
}
"""Secrets that the text around them shows."""
ANYWHERE = (
    "{}",
    "The key is {}.",
    "I found `{}` in the file, so please rotate it",
    "export API_KEY={}\nmake run",
    "+    token = '{}'\n     return token",
    'const key = "{}";',
    "key: {}\nother: 1",
    "(see {}, from the log)",
    "$ env | grep KEY\nKEY={}\n$ ",
    "https://example.com/callback?token={}&state=1",
    "  \x1b[32m{}\x1b[0m",
    "| name | {} |",
)
ASSIGNED = (
    "{name}={value}\n",
    "{name}: {value}\n",
    "export {name}='{value}'\n",
    'const config = {{ {name}: "{value}" }}',
    '"{name}": "{value}",\n',
    "os.environ['{name}'] = '{value}'",
    "process.env.{name} = `{value}`;",
    "env:\n  - name: {name}\n    value: {value}\n",
    "docker run -e {name}={value} image",
    "FROM alpine\nENV {name} {value}\nRUN make",
    "tool --{option} {value} deploy",
    "tool --{option}={value} deploy",
    "GET https://api.example.com/v1/items?{lower}={value}&page=2",
    "curl -H 'X-{option}: {value}' https://example.com",
    "<{lower}>{value}</{lower}>",
    'client = Client({lower}="{value}", timeout=3)',
    "new Client({{ {lower}: '{value}', region: 'eu' }})",
    '{lower} := "{value}"',
    "[default]\n{lower} = {value}\nregion = eu\n",
    "{name}={value} npm start",
)


@dataclass(frozen=True)
class Planted:
    """A text with a secret in it."""

    format: str
    secret: str
    text: str


def planted(seed: int, rounds: int) -> Iterator[Planted]:
    """Yield ``rounds`` secrets of each format, each in another text."""
    draw = Draw(seed)
    for turn in range(rounds):
        for name, make in FORMATS.items():
            secret = make(draw)
            around = ANYWHERE[turn % len(ANYWHERE)]
            yield Planted(name, secret, around.format(secret))
        for number, (name, (variable, make)) in enumerate(NAMED.items()):
            secret = make(draw)
            around = ASSIGNED[(turn + number) % len(ASSIGNED)]
            lower = variable.lower()
            option = lower.replace("_", "-")
            yield Planted(name, secret, around.format(name=variable, lower=lower, option=option, value=secret))
        for name, (around, make) in ENCLOSED.items():
            secret = make(draw)
            yield Planted(name, secret, around.format(secret))


def shapes(text: str) -> dict[str, tuple[str, Any]]:
    """Return items of every kind that hold ``text``, also in JSON within a string, once and twice."""
    tool = {"id": "prt_1", "messageID": "msg_1", "type": "tool", "tool": "bash"}
    nested = json.dumps({"content": text, "path": "a/b.py"})
    return {
        "text": ("part", {"id": "prt_1", "messageID": "msg_1", "type": "text", "text": text}),
        "output": ("part", {**tool, "state": {"status": "completed", "output": text}}),
        "input": ("part", {**tool, "state": {"input": {"filePath": "a.env", "content": text}}}),
        "arguments": ("part", {**tool, "state": {"input": nested}}),
        "nested arguments": ("part", {**tool, "state": {"raw": json.dumps({"arguments": nested})}}),
        "diff": ("session_diff", [{"file": "a.env", "before": "", "after": text}]),
        "title": ("session", {"id": "ses_1", "title": text}),
        "summary": ("message", {"id": "msg_1", "role": "user", "summary": {"body": text}}),
        "unknown type": ("note", {"id": "n", "lines": text.split("\n")}),
        "member name": ("note", {"id": "n", "data": {text: 1}}),
    }
