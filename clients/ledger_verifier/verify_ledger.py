#!/usr/bin/env python3
"""Check an export of the ledger offline: ``python verify_ledger.py EXPORT --key public.pem``.

EXPORT is the folder that ``python -m opencode_cloud billing export`` wrote. This program needs Python 3.11 and openssl,
and nothing of Opencode Cloud. It prints the trial balance, and exits with 1 if a promise of the ledger is broken.
Take the public key from the operator once, and keep it: a key from the same folder proves nothing.
"""

import argparse
import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

SEALED_DAYS = 2
"""Transactions that are older than this must be under a signed checkpoint."""


class Broken(Exception):
    """A promise of the ledger does not hold."""


def lines(file):
    """Yield the JSON documents of a file, one a line."""
    with file.open(encoding="utf-8") as opened:
        for line in opened:
            yield json.loads(line)


class Chain:
    """Transactions in order, and their sums."""

    def __init__(self):
        self.hashes, self.sums_at = {}, {}
        self.sums = defaultdict(int)
        self.accounts = defaultdict(lambda: {"version": 0, "posted": 0, "pending": 0})
        self.keys, self.ids, self.usage = set(), set(), {}
        self.last, self.hash, self.booked_at, self.began_at = 0, "0" * 64, 0, 0

    def add(self, row, sealed):
        """Check one transaction against those before it."""
        raw = row["body"].encode()
        body = json.loads(raw)
        seq = body["seq"]
        if not self.last and seq != 1:
            raise Broken(f"the export begins with transaction {seq}: the oldest {seq - 1} are missing")
        if seq != self.last + 1:
            raise Broken(f"transaction {self.last + 1} is missing: {seq} follows {self.last}")
        if row["prev"] != self.hash:
            raise Broken(f"transaction {seq} does not follow the hash of {self.last}")
        digest = hashlib.sha256(b"\0" + bytes.fromhex(row["prev"]) + len(raw).to_bytes(8, "big") + raw).hexdigest()
        if digest != row["hash"]:
            raise Broken(f"transaction {seq} was changed: its hash is {digest}, not {row['hash']}")
        if (body["kind"], body["key"]) in self.keys or body["id"] in self.ids:
            raise Broken(f"transaction {seq} repeats the key or the id of another one")
        if body["corrects"] and body["corrects"] not in self.ids:
            raise Broken(f"transaction {seq} corrects {body['corrects']}, which is not before it")
        self.keys.add((body["kind"], body["key"]))
        self.ids.add(body["id"])
        if "digest" in body["terms"]:
            self.usage[body["id"]] = body["terms"]
        self.post(seq, body["entries"])
        self.last, self.hash, self.booked_at = seq, row["hash"], body["booked_at"]
        self.began_at = self.began_at or self.booked_at
        if seq in sealed:
            self.hashes[seq] = row["hash"]
            self.sums_at[seq] = {place: amount for place, amount in self.sums.items() if amount}

    def post(self, seq, entries):
        """Add entries, which must sum to zero for each currency and layer, to the sums of their accounts."""
        zero = defaultdict(int)
        for account, layer, amount, version, after in entries:
            owner, kind, currency = account.split("/")
            zero[currency, layer] += amount
            self.sums[f"{kind}/{currency}/{layer}"] += amount
            state = self.accounts[account]
            state[layer] += amount
            state["version"] += 1
            if owner != "house" and (version, after) != (state["version"], state[layer]):
                raise Broken(f"transaction {seq}: version or balance of {account} does not follow from its entries")
            if not amount:
                raise Broken(f"transaction {seq} has an entry of zero")
        if len(entries) < 2 or any(zero.values()):
            raise Broken(f"transaction {seq} does not sum to zero")


def check_signature(key, text, signature):
    """Check a signature (RSASSA-PKCS1-v1_5, SHA-256) with openssl."""
    with tempfile.TemporaryDirectory() as folder:
        message, proof = Path(folder, "text"), Path(folder, "signature")
        message.write_bytes(text)
        proof.write_bytes(signature)
        command = ["openssl", "dgst", "-sha256", "-verify", str(key), "-signature", str(proof), str(message)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def read_checkpoints(folder, key):
    """Return the checkpoints by number, after checking signatures and their own chain."""
    found, previous = {}, "0" * 64
    for row in lines(folder / "checkpoints.ndjson"):
        text = row["text"].encode()
        if not check_signature(key, text, base64.b64decode(row["signature"])):
            raise Broken(f"a checkpoint has an invalid signature: {row['text'].splitlines()[1:2]}")
        facts = [line.split(" ") for line in row["text"].splitlines()]
        one = {words[0]: words[1] for words in facts if len(words) == 2}
        if one["previous"] != previous:
            raise Broken(f"checkpoint {one['seq']} does not follow the checkpoint before it")
        sums = {words[1]: int(words[2]) for words in facts if words[0] == "sum"}
        found[int(one["seq"])] = {"hash": one["hash"], "sums": sums, "time": one["time"]}
        previous = hashlib.sha256(text).hexdigest()
    return found


def check_postings(folder, chain):
    """Check that the events of each transaction of usage are those that its hash covers."""
    events = defaultdict(list)
    seen = set()
    for transaction, event, amount in lines(folder / "postings.ndjson"):
        if event in seen:
            raise Broken(f"event {event} is charged twice")
        seen.add(event)
        events[transaction].append((event, amount))
    for transaction, terms in chain.usage.items():
        own = sorted(events.pop(transaction, []))
        digest = hashlib.sha256("".join(f"{event}:{amount}\n" for event, amount in own).encode()).hexdigest()
        if digest != terms["digest"] or sum(amount for _, amount in own) != terms["amount"]:
            raise Broken(f"the events of {transaction} are not those that were booked")
    if events:
        raise Broken(f"events name transactions that do not charge usage: {sorted(events)[:3]}")
    return len(seen)


def verify(folder, key):
    """Check an export; return a report. Raises :class:`Broken`."""
    checkpoints = read_checkpoints(folder, key)
    numbers = [json.loads(row["body"])["seq"] for row in lines(folder / "transactions.ndjson")]
    if swapped := next((after for before, after in pairwise(numbers) if after <= before), None):
        raise Broken(f"transaction {swapped} is out of order or repeated")
    chain = Chain()
    for row in lines(folder / "transactions.ndjson"):
        chain.add(row, checkpoints)
    for seq, checkpoint in sorted(checkpoints.items()):
        if seq > chain.last:
            raise Broken(f"the export ends with transaction {chain.last}, before the checkpoint at {seq}: it was cut")
        if chain.hashes[seq] != checkpoint["hash"] or chain.sums_at[seq] != checkpoint["sums"]:
            raise Broken(f"transaction {seq} is not the one that was signed: the chain was rewritten")
    events = check_postings(folder, chain)
    open_ = chain.last - max(checkpoints, default=0)
    if open_:
        sealed_at = chain.began_at / 1e6
        if checkpoints:
            signed = checkpoints[max(checkpoints)]["time"]
            sealed_at = datetime.strptime(signed, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp()
        if chain.booked_at / 1e6 - sealed_at > SEALED_DAYS * 86400:
            raise Broken(f"the last {open_} transactions are under no checkpoint for more than {SEALED_DAYS} days")
    report = [f"{chain.last} transactions, {events} charged events, {len(checkpoints)} checkpoints: all in order"]
    if open_:
        report.append(f"the last {open_} transactions are not yet sealed")
    report += [f"{place:40} {amount:>24,}" for place, amount in sorted(chain.sums.items()) if amount]
    return [*report, f"{'sum':40} {sum(chain.sums.values()):>24,}"]


def main():
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("--key", type=Path, required=True, help="the public key of the ledger, in PEM")
    options = parser.parse_args()
    try:
        sys.stdout.writelines(f"{line}\n" for line in verify(options.export, options.key))
    except Broken as broken:
        sys.exit(f"BROKEN: {broken}")


if __name__ == "__main__":
    main()
