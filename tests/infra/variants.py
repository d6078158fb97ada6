"""The kinds of stages that settings can make: by name, the stage and its file of settings."""

from collections.abc import Mapping

MAIL = 'alarm_email = "operator@example.com"\nmail_from = "no-reply@example.com"\n'
PAGER = 'releases_url = "https://api.github.com/repos/example/cloud/releases/latest"\npager_url = "https://events.example.com/integration/1/enqueue"\n'
SPANS = 'otlp_endpoint = "https://xray.us-east-1.amazonaws.com"\n'
BILL = "monthly_dollars = 500\n"
REGION = 'region = "us-east-1"\naccount = "111122223333"\n'
DOMAIN = """[domain]
name = "share.example.com"
zone_id = "Z0123456789ABCDEFGHIJ"
zone_name = "example.com"
"""
CERTIFICATE = (
    'certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/11111111-2222-3333-4444-555555555555"\n'
)
VAULT = "arn:aws:backup:us-west-2:444455556666:backup-vault:opencode-cloud"
VARIANTS: Mapping[str, tuple[str, str]] = {
    "local": ("local", ""),
    "dev": ("dev", ""),
    "alice": ("alice", ""),
    "production": ("production", REGION + MAIL + PAGER + BILL + SPANS + DOMAIN + "[firewall]\nrequests = 5000\n"),
    "contained": ("dev", REGION + '[gateway]\nruntime = "container"\ntask_cpu = 2048\n'),
    "hubbed": (
        "dev",
        REGION + MAIL + 'zones = ["us-east-1b", "us-east-1c"]\n' + DOMAIN + '[sync]\nruntime = "container"\n',
    ),
    "copied": (
        "production",
        REGION
        + MAIL
        + f'[backup]\nfinal_after_days = 7\ncopy_to = "{VAULT}"\n'
        + '[database]\nkms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555"\n',
    ),
    # Every setting that adds, removes or exchanges resources has another value than in `production`.
    "switched": (
        "production",
        REGION
        + MAIL
        + 'operators = ["ada@example.com"]\n'
        + 'watched = false\ncanary = false\negress = "nat-instance"\nsigning_keys = ["b", "c"]\n'
        + DOMAIN
        + CERTIFICATE
        + "[database]\nproxy = true\n[backup]\nenabled = false\n[github]\n[stripe]\n[billing]\nenabled = true\n"
        + '[sync]\nruntime = "container"\n'
        + '[gateway]\nruntime = "container"\nmemory = 2048\n',
    ),
}
SWITCHES: Mapping[str, tuple[str, str]] = {
    "a signing key in": ("", 'signing_keys = ["a", "b", "c"]\n'),
    "the oldest signing key out": ('signing_keys = ["a", "b", "c"]\n', 'signing_keys = ["b", "c"]\n'),
    "the proxy": ("", "[database]\nproxy = true\n"),
    "dashboard and alarms": ("", "watched = false\n"),
    "operators in a browser": ("", 'operators = ["ada@example.com"]\n'),
    "GitHub": ("", "[github]\n"),
    "Stripe": ("", "[stripe]\n"),
    "the gateway's runtime": ("", '[gateway]\nruntime = "container"\nmemory = 2048\n'),
    "the runtime of sharing": (DOMAIN, DOMAIN + '[sync]\nruntime = "container"\n'),
    "a domain": ("", DOMAIN),
    "billing": ("", "[billing]\nenabled = true\n"),
    "canaries": ("", "canary = false\n"),
    "backups": ("", "[backup]\nenabled = false\n"),
    "copies of backups": ("", f'[backup]\ncopy_to = "{VAULT}"\n'),
    "egress": ("", 'egress = "nat-instance"\n'),
    "the firewall, the alarm on the bill, spans to X-Ray": ("", BILL + SPANS + "[firewall]\n"),
}
"""Settings of production that a deployed stage may change: before and after; each also the other way round."""
