"""Exchanges GitHub tokens of workflows and people for tokens of the GitHub App."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import github
    from opencode_cloud.kit.settings import load

    handler = github.build(load(github.GithubSettings))
