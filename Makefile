# The doors of the project. Every target sets up first what it needs; `make` alone lists them.

SETUP := sh scripts/setup.sh

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup image test test-fast test-integration test-boot lint format reference clean clean-store

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
	  printf '  make %-17s %s\n' "$$name" "$$text"; done

setup: ## install what is missing to build and boot: npm packages, the pinned Node, host programs
	@$(SETUP) build boot user-mode

image: ## build the offline authority host: out/auth-host/
	@$(SETUP) build
	bin/asl build recipes/auth-host.yaml

test: ## every test: types and lint, unit, integration, boot
	@$(SETUP) build boot user-mode test
	@scripts/node scripts/test.ts

test-fast: ## types, lint and unit tests: seconds, needs no host program
	@$(SETUP)
	@scripts/node scripts/test.ts check unit

test-integration: ## tests that run real tools: minutes
	@$(SETUP) build user-mode test
	@scripts/node scripts/test.ts integration

test-boot: ## tests that boot a guest in QEMU: minutes
	@$(SETUP) build boot test
	@scripts/node scripts/test.ts boot

lint: ## check types, formatting and lint
	@$(SETUP)
	@scripts/node scripts/test.ts check

format: ## rewrite the sources as the formatter wants them
	@$(SETUP)
	scripts/node node_modules/@biomejs/biome/bin/biome check --write .

reference: ## write docs/reference/ from the tables in the sources
	@$(SETUP)
	scripts/node scripts/reference.ts

clean: ## remove out/; the store is kept
	rm -rf out
	@if [ -d .asl/store ]; then \
	  echo "kept the store .asl/store ($$(du -sh .asl/store | cut -f1)): 'make clean-store' removes it, and the next build starts from nothing"; fi

clean-store: ## remove out/ and the store: every receipt and artifact in it
	@if [ -d .asl/store ]; then echo "removing the store .asl/store ($$(du -sh .asl/store | cut -f1)), with every receipt and artifact in it"; fi
	rm -rf out .asl
