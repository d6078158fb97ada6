"""Sign-in codes, derived in the same way as in the stage's mails, so that tests need not wait for a mail."""

from local.stack import LocalStack
from opencode_cloud.contracts.mail_secrets import sign_in_code


def code_of(stack: LocalStack, address: str) -> str:
    """Return the code for the page at `address`, where a person types it."""
    vault, arn = stack.client("secretsmanager"), stack.outputs["ConsoleKeySecretArn"]
    return sign_in_code(vault.get_secret_value(SecretId=arn)["SecretString"], address.partition("challenge=")[2])
