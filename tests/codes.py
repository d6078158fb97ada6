"""The codes that the stage sends by mail, derived as the mail's are: without waiting for a mail in every test."""

from local.stack import LocalStack
from opencode_cloud.contracts.mail_secrets import sign_in_code


def code_of(stack: LocalStack, address: str) -> str:
    """The code for the page at `address`, on which it is to be typed."""
    vault, arn = stack.client("secretsmanager"), stack.outputs["ConsoleKeySecretArn"]
    return sign_in_code(vault.get_secret_value(SecretId=arn)["SecretString"], address.partition("challenge=")[2])
