from tests.infra.synthesis import Synthesis


def test_tables_are_encrypted_recoverable_and_expire_rows(synthesis: Synthesis) -> None:
    tables = synthesis.properties("data", "AWS::DynamoDB::GlobalTable")
    assert len(tables) == 6
    for table in tables:
        (replica,) = table["Replicas"]
        assert table["SSESpecification"]["SSEEnabled"]
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
        assert replica["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]


def test_keys_are_those_of_the_library(synthesis: Synthesis) -> None:
    shares = synthesis.one("data", "AWS::DynamoDB::GlobalTable", "Shares")
    connections = synthesis.one("data", "AWS::DynamoDB::GlobalTable", "Connections")
    indexes = {index["IndexName"]: index for index in shares["GlobalSecondaryIndexes"]}
    assert [key["AttributeName"] for key in shares["KeySchema"]] == ["pk", "sk"]
    assert [key["AttributeName"] for key in connections["KeySchema"]] == ["connection"]
    keys = {name: [key["AttributeName"] for key in index["KeySchema"]] for name, index in indexes.items()}
    assert keys == {
        "expiry": ["expiry_day", "expires_at"],
        "workspace": ["workspace_id", "created_at"],
        "owner": ["owner_key", "created_at"],
    }
    assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in indexes.values())
    assert {"AttributeName": "expires_at", "AttributeType": "N"} in shares["AttributeDefinitions"]


def test_the_log_streams_what_is_written(synthesis: Synthesis) -> None:
    shares = synthesis.one("data", "AWS::DynamoDB::GlobalTable", "Shares")
    assert shares["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


def test_the_bucket_is_private_versioned_and_cleans_up(synthesis: Synthesis) -> None:
    bucket = synthesis.one("data", "AWS::S3::Bucket", "Bodies")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["BucketEncryption"]
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert {"NoncurrentDays": 1} in [rule.get("NoncurrentVersionExpiration") for rule in rules]
    assert {"DaysAfterInitiation": 1} in [rule.get("AbortIncompleteMultipartUpload") for rule in rules]
    (cors,) = bucket["CorsConfiguration"]["CorsRules"]
    assert (cors["AllowedMethods"], cors["AllowedOrigins"]) == (["GET"], ["*"])


def test_the_bucket_lets_in_nothing_but_tls_on_aws(on_aws: Synthesis) -> None:
    statements = on_aws.one("data", "AWS::S3::BucketPolicy", "Bodies")["PolicyDocument"]["Statement"]
    conditions = [statement["Condition"] for statement in statements if statement["Effect"] == "Deny"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in conditions


def test_secrets_are_generated(synthesis: Synthesis) -> None:
    secrets = synthesis.properties("data", "AWS::SecretsManager::Secret")
    generated = [secret for secret in secrets if "GenerateSecretString" in secret]
    assert len(generated) == 4 + synthesis.stage.has_hubs
    assert all(secret["GenerateSecretString"]["PasswordLength"] >= 43 for secret in generated)
    assert [secret["SecretString"] for secret in secrets if "SecretString" in secret] == ["{}", "{}"]


def test_only_production_survives_its_stack(synthesis: Synthesis) -> None:
    kinds = ("AWS::DynamoDB::GlobalTable", "AWS::KMS::Key", "AWS::S3::Bucket", "AWS::SecretsManager::Secret")
    policies = {r["DeletionPolicy"] for kind in kinds for r in synthesis.resources("data", kind).values()}
    assert policies == {"Retain" if synthesis.stage.name == "production" else "Delete"}


def test_tables_of_the_console_plane(synthesis: Synthesis) -> None:
    access = synthesis.one("data", "AWS::DynamoDB::GlobalTable", "Access")
    sessions = synthesis.one("data", "AWS::DynamoDB::GlobalTable", "Sessions")
    assert [key["AttributeName"] for key in access["KeySchema"]] == ["pk", "sk"]
    assert [key["AttributeName"] for key in sessions["KeySchema"]] == ["pk"]
    (index,) = sessions["GlobalSecondaryIndexes"]
    assert (index["IndexName"], index["KeySchema"][0]["AttributeName"]) == ("account", "account_id")


def test_tokens_are_signed_by_keys_that_never_leave_and_credentials_sealed_by_another(synthesis: Synthesis) -> None:
    signing = synthesis.properties("data", "AWS::KMS::Key", "SigningKey")
    assert [(key["KeySpec"], key["KeyUsage"]) for key in signing] == [("RSA_2048", "SIGN_VERIFY")] * len(
        synthesis.stage.signing_keys
    )
    assert synthesis.one("data", "AWS::KMS::Key", "CredentialsKey")["EnableKeyRotation"]


def test_messages_between_functions_survive_a_long_absence_of_the_database(synthesis: Synthesis) -> None:
    for name in ("Relay", "Audit", "Mail", "Alerts", "Export"):
        (queue,) = [q for q in synthesis.properties("data", "AWS::SQS::Queue", name) if "RedrivePolicy" in q]
        assert queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"] > 1800


def test_tables_of_the_gateway_plane(synthesis: Synthesis) -> None:
    budgets = synthesis.one("data", "AWS::DynamoDB::GlobalTable", "Budgets")
    usage = synthesis.one("data", "AWS::DynamoDB::GlobalTable", "Usage")
    for table in (budgets, usage):
        assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]
    (leases,) = budgets["GlobalSecondaryIndexes"]
    assert leases["IndexName"] == "leases"
    assert [key["AttributeName"] for key in leases["KeySchema"]] == ["lease_shard", "lease_until"]
    assert {"AttributeName": "lease_until", "AttributeType": "N"} in budgets["AttributeDefinitions"]
    assert "StreamSpecification" not in budgets
    assert usage["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


def test_exports_are_private_and_end(synthesis: Synthesis) -> None:
    bucket = synthesis.one("data", "AWS::S3::Bucket", "UsageExports")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert "VersioningConfiguration" not in bucket
    assert "CorsConfiguration" not in bucket
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == 30
