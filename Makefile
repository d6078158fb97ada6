# All commands of this repository. A fresh machine needs Python 3.11+, Node.js 20+ and make.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
PORT ?= 8787
export PORT EMULATOR_PORT NO_QUOTAS DURABILITY TRUST_PROXY ALLOWED_HOSTS DEMO SYNC_RUNTIME BILLING STRIPE_PORT
# A run starts a hundred Python processes: each would compile all its modules if none kept what it compiled.
unexport PYTHONDONTWRITEBYTECODE
STAGE ?= dev
BIN := .venv/bin
# A process more than cores, because tests also wait; the tests of a module run in one of them. More processes than four
# would wait for one stage.
WORKERS ?= $(shell $(PYTHON) -c "import os; print(min(4, (os.cpu_count() or 1) + 1))")
# Memory is what slows the tests in a virtual machine: glibc's allocator takes huge pages (Linux; others ignore it).
PYTEST := PYTHONMALLOC=malloc GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder
# Pyright needs about 4 GB. With Node's limit of 4 GB it drops what it knows twelve times and works it out again.
PYRIGHT := NODE_OPTIONS="--max-old-space-size=6144 --max-semi-space-size=64" node_modules/.bin/pyright
CDK := PATH="$(CURDIR)/$(BIN):$$PATH" STAGE=$(STAGE) node_modules/.bin/cdk

.PHONY: help
help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | awk -F'|' '{printf "  make %-13s %s\n", $$1, $$2}'

.PHONY: setup
setup: ## Build the environments (.venv, .tools, node_modules); quick if they are current
	@$(PYTHON) local/setup.py

.PHONY: dev
dev: setup ## Start everything on this machine: http://127.0.0.1:$(PORT) (DEMO=1: with a demo workspace; SYNC_RUNTIME=container: with a hub; BILLING=1: with a stand-in for Stripe)
	@exec $(BIN)/python -m local dev

.PHONY: cloud
cloud: ## Run the operators' command on the local stage (ARGS="look-up ada@example.com")
	@$(BIN)/python -m local cloud $(ARGS)

.PHONY: test
test: setup style ## Check everything and run all tests but the slow ones (ARGS: more options of pytest)
	@mkdir -p .local; $(PYRIGHT) >.local/types.log 2>&1 & types=$$!; \
	$(PYTEST) $(ARGS); tests=$$?; \
	echo "Types (pyright):"; wait $$types; typed=$$?; cat .local/types.log; \
	test $$tests -eq 0 && test $$typed -eq 0

.PHONY: test-fast
test-fast: setup ## Run the tests that need no deployed stage
	$(PYTEST) -m "not slow and not stage" $(ARGS)

.PHONY: clients
clients: ## Build the environments, and install the clients that only the slow tests drive
	@$(PYTHON) local/setup.py clients

.PHONY: properties
properties: setup ## Run the property tests that need no stage, with examples that no run has tried
	HYPOTHESIS_PROFILE=seeking $(PYTEST) -m "hypothesis and not slow and not stage" $(ARGS)

.PHONY: test-slow
test-slow: clients test-hub properties ## Run the slow tests, and the property tests with new examples
	$(PYTEST) -m slow $(ARGS)

HUB_TESTS = $(patsubst %,tests/integration/test_%.py,live resume order owned_shares share_access purge http) \
	$(patsubst %,tests/e2e/test_%.py,share follow legacy owned page_access)
.PHONY: test-hub
test-hub: setup ## Run the tests of sharing on a stage whose sharing runs in a hub
	SYNC_RUNTIME=container $(PYTEST) -m "not slow" $(HUB_TESTS) $(ARGS)

SDK ?= latest
.PHONY: contract
contract: clients ## Decode our answers with the published SDK (SDK=1.19.3: with that release, else the newest)
	npm install --prefix .local/sdk --ignore-scripts --no-package-lock --no-save --loglevel=error @opencode-ai/sdk@$(SDK)
	OPENCODE_SDK=$(CURDIR)/.local/sdk/node_modules/@opencode-ai/sdk $(PYTEST) -m slow tests/e2e/test_contract.py

.PHONY: mutants
mutants: setup ## Break one rule at a time; the tests named for it must fail (NAME=I4: only some)
	$(BIN)/python -m tests.mutants $(NAME)

.PHONY: bench
bench: setup ## Measure the deployed local stage; writes JSON to benchmarks/results/
	$(BIN)/python -m benchmarks

.PHONY: lint
lint: style types ## Check style, types and layers

.PHONY: style
style: setup ## Check style and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

.PHONY: types
types: setup ## Check types (pyright, strict for the library and infrastructure)
	$(PYRIGHT)

.PHONY: format
format: setup ## Rewrite files in the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: synth
synth: setup ## Write the CloudFormation of STAGE (dev) to cdk.out
	$(CDK) synth --quiet

.PHONY: cost
cost: setup ## Show the idle cost of STAGE per month
	@STAGE=$(STAGE) $(BIN)/python -m infra.cost

.PHONY: diff
diff: setup ## Compare STAGE with what is deployed
	$(CDK) diff

.PHONY: preflight
preflight: setup ## Show what the AWS account lacks for STAGE, and what to do; changes nothing
	@STAGE=$(STAGE) $(BIN)/python -m infra.operations.preflight

.PHONY: deploy
deploy: setup ## Show the changes of STAGE and deploy them; stops if data would be lost (YES=1: without a question)
	@STAGE=$(STAGE) $(BIN)/python -m infra.operations.deploy

.PHONY: smoke
smoke: setup ## Try the main paths of the deployed STAGE (KEY and MODEL: also a model call)
	@STAGE=$(STAGE) $(BIN)/python -m infra.operations.smoke

.PHONY: drift
drift: setup ## Show the changes by hand in the resources of the deployed STAGE; changes nothing
	@STAGE=$(STAGE) $(BIN)/python -m infra.operations.drift

.PHONY: logs
logs: setup ## Show log lines by ID, LEVEL, FUNCTION and HOURS, of this machine (STAGE=production: of a stage on AWS)
	@STAGE=$(if $(filter file,$(origin STAGE)),local,$(STAGE)) ID='$(ID)' LEVEL='$(LEVEL)' FUNCTION='$(FUNCTION)' HOURS='$(HOURS)' \
	$(BIN)/python -m infra.operations.logs

.PHONY: rollback
rollback: setup ## Let the functions of STAGE run the versions before the last deployment
	@STAGE=$(STAGE) $(BIN)/python -m infra.operations.rollback

.PHONY: freeze
freeze: setup ## At a release: note in infra/released.json what later releases must not replace
	@STAGE=production $(BIN)/python -m infra.operations.freeze

.PHONY: pipeline
pipeline: setup ## Create roles by which GitHub Actions deploys (REPOSITORY=owner/name; STAGES, PROVIDER_ARN)
	@REPOSITORY=$(REPOSITORY) STAGES='$(STAGES)' PROVIDER_ARN=$(PROVIDER_ARN) $(CDK) deploy --app "$(BIN)/python -m infra.pipeline"

.PHONY: release
release: setup ## Write VERSION into its places and date the changelog; a tag then makes a draft on GitHub
	@VERSION=$(VERSION) TAG= $(BIN)/python -m infra.operations.releasing

.PHONY: release-files
release-files: setup ## Write source, bill of materials and notes of the release TAG to dist
	@VERSION= TAG=$(TAG) $(BIN)/python -m infra.operations.releasing

.PHONY: restore
restore: setup ## Put a restored table or bucket into that of STAGE (TABLE or BUCKET, FROM; YES=1: without a question)
	@STAGE=$(STAGE) TABLE=$(TABLE) BUCKET=$(BUCKET) FROM=$(FROM) $(BIN)/python -m infra.operations.restoring

.PHONY: destroy
destroy: setup ## Delete STAGE with its data, unless it keeps them (CONFIRM=<stage>: without a question)
	@STAGE=$(STAGE) $(BIN)/python -m infra.operations.destroy

.PHONY: formats
formats: setup ## Write the tables of docs/formats.md from the formats
	@PYTHONPATH=layers/core $(BIN)/python -m opencode_cloud.gateway.formats.tables docs/formats.md

.PHONY: roles
roles: setup ## Write docs/roles.md from the table of permissions
	@PYTHONPATH=layers/core $(BIN)/python -m opencode_cloud.workspaces.roles > docs/roles.md

.PHONY: catalogue
catalogue: setup ## Write the parsed form of the catalogue of new deployments
	@PYTHONPATH=layers/core $(BIN)/python -m opencode_cloud.catalogue.service.starting

.PHONY: openapi
openapi: setup ## Write docs/openapi.json from the API's routes
	@$(BIN)/python -m local openapi

.PHONY: settings
settings: setup ## Write functions/settings.json from the settings that functions declare
	@$(BIN)/python -m local settings

.PHONY: messages
messages: setup ## Bring the catalogues of the pages' languages up to date (web/languages)
	@$(BIN)/python -m local messages

.PHONY: mail-preview
mail-preview: setup ## Write every mail with sample values to .local/mails
	@$(BIN)/python -m local mail-preview

.PHONY: lock
lock: setup ## Resolve the .in files and write the hash-locked lists
	@$(BIN)/python -m local lock

.PHONY: migration
migration: setup ## Write the next version of the schema (NAME=add_invoices) from the code's tables
	@$(BIN)/python -m local migration "$(NAME)"

.PHONY: clean-local
clean-local: ## Delete all data of the local stage (.local)
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m local clean; else rm -rf .local; fi
