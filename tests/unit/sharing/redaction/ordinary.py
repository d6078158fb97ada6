"""Random-looking text that is no secret: hashes, identifiers, lock files, logs, embedded pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.unit.sharing.redaction.secrets import BASE64, DIGITS, HEX, WORD, Draw

PROSE = (
    "the build fails because token parsing reads a key before access is checked and the secret of good tests is that "
    "they fail so we authenticate each request by its header then cache the result under a primary key"
)
WORDS = PROSE.split()


def _uuid(d: Draw) -> str:
    return "-".join(d.of(HEX, size) for size in (8, 4, 4, 4, 12))


def _id(d: Draw, prefix: str) -> str:
    return f"{prefix}_{d.of(HEX, 12)}{d.of(WORD, 14)}"


LINES: tuple[Callable[[Draw], str], ...] = (
    lambda d: f"{d.of(HEX, 64)}  dist/package-{d.of(DIGITS, 1)}.{d.of(DIGITS, 2)}.tar.gz",
    lambda d: f'      "integrity": "sha512-{d.of(BASE64, 86)}==",',
    lambda d: f"    --hash=sha256:{d.of(HEX, 64)} \\",
    lambda d: f"commit {d.of(HEX, 40)}\nAuthor: Ada <ada@example.com>\n\n    gateway: read tokens of the key",
    lambda d: f"image: registry.example.com/api@sha256:{d.of(HEX, 64)}",
    lambda d: f'  {{ "id": "{_uuid(d)}", "name": "row {d.of(DIGITS, 4)}", "etag": "{d.of(HEX, 32)}" }},',
    lambda d: f"![chart](data:image/png;base64,{d.of(BASE64, 400)})",
    lambda d: f"GET /api/v1/keys/{_id(d, 'key')} 200 {d.of(DIGITS, 2)} ms request={_uuid(d)}",
    lambda d: f'"sessionID": "{_id(d, "ses")}", "messageID": "{_id(d, "msg")}", "callID": "call_{d.of(WORD, 24)}",',
    lambda d: (
        f'{{"tokens": {{"input": {d.of(DIGITS, 6)}, "output": {d.of(DIGITS, 4)}}}, "cost": 0.0{d.of(DIGITS, 4)}}}'
    ),
    lambda d: f"index {d.of(HEX, 7)}..{d.of(HEX, 7)} 100644",
    lambda d: f"//# sourceMappingURL=data:application/json;base64,{d.of(BASE64, 200)}",
    lambda d: f".a{d.of(HEX, 6)} {{ color: #{d.of(HEX, 6)}; }}",
    lambda d: " ".join(d.pick(*WORDS) for _ in range(20)) + ".",
    lambda d: f"def test_{d.pick(*WORDS)}_{d.pick(*WORDS)}(key: str, token: Token) -> None:",
    lambda d: f"    api_key = os.environ['{d.pick('OPENAI', 'ACME')}_API_KEY']  # {d.pick(*WORDS)}",
    lambda d: f"    password = getpass('{d.pick(*WORDS)} {d.pick(*WORDS)}: ')",
    lambda d: 'apiKey: "{env:OPENAI_API_KEY}"',
    lambda d: f"tree {d.of(HEX, 40)} parent {d.of(HEX, 40)}",
    lambda d: f"key: linux-node20-{d.of(HEX, 64)}",
    lambda d: "  - name: API_TOKEN\n    value: ${{ secrets.API_TOKEN_2 }}",
    lambda d: "  - name: DB_PASSWORD\n    valueFrom:\n      secretKeyRef: {name: db-secret-v2, key: password}",
    lambda d: "ENV API_KEY $API_KEY_2\nARG NPM_TOKEN\nsetenv TOKEN `cat /run/secrets/token2`",
    lambda d: 'tool --api-token "$API_TOKEN_2" --secret-file /run/secrets/app-v2.json --key-file ~/.ssh/id_ed25519.pub',
    lambda d: "curl -H 'Authorization: Bearer $TOKEN_2' -H \"Authorization: Bearer ${API_TOKEN_V2}\"",
    lambda d: "Authorization: Bearer <your-token-here-2>\nauthorization: config.oauth2.accessTokenProvider",
    lambda d: "Authorization: AWS4-HMAC-SHA256 Credential=<id>/20261130/eu-central-1/s3/aws4_request",
    lambda d: f"Cookie: theme=dark; lang=en; visits={d.of(DIGITS, 12)}; session=<id>",
    lambda d: 'docker login -u ada --password-stdin; mysql -u root -p$MYSQL_PASSWORD_2 app; sshpass -p "$PW2" ssh a@b',
    lambda d: "<apiKey>${API_KEY_2}</apiKey><tokenUrl>https://login.example.com/oauth2/token</tokenUrl>",
    lambda d: "secretName: payments-api-secret-v2-production-eu-central-1",
    lambda d: "PWD=/srv/app2 OLDPWD=/srv/app1 compass: n1, bypass = mode2, pass = 2",
    lambda d: f"Server=db.example.com;Uid=root;Pwd=$DB_PWD_2; tokens={d.of(DIGITS, 6)}",
    lambda d: "def password(self, pwd: str = DEFAULT_PWD2, token_secret: SecretStr = SecretStr2) -> None:",
    lambda d: "app.secret_key = os.environ['SECRET_KEY_V2'] or settings.SECRET_KEY_FALLBACKS[0]",
    lambda d: f"AKey=1; sig={d.of(WORD, 8)}; signature=v1; api.py:5432:12: E501 line too long",
)


def generated(seed: int, megabytes: float) -> Iterator[str]:
    """Yield texts of some ten kilobytes, together about ``megabytes`` long."""
    draw, left = Draw(seed), megabytes * 1_000_000
    while left > 0:
        text = "\n".join(draw.random.choice(LINES)(draw) for _ in range(100))
        left -= len(text)
        yield text
