"""Commands of operators, whom their AWS credentials authorize (docs/operate.md)."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import operate
    from opencode_cloud.kit.settings import load

    handler = operate.build(load(operate.OperateSettings))
