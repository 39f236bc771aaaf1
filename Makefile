# The two commands of the README are `make run` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export CGO_ENABLED ?= 1

LDFLAGS := -s -w
# A program says which commit it is of, where there is a repository that git reads here.
VCS := $(shell git rev-parse --verify --quiet HEAD >/dev/null 2>&1 && echo auto || echo false)
TOOL := go tool -modfile=tools/go.mod
BINARIES := repronet-reporter repronet-aggregator repronet-verify
ENGINE := engine/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 20

.PHONY: build
build: ## Build the three programs into bin/
	@mkdir -p bin
	@for b in $(BINARIES); do echo "building bin/$$b" >&2; CGO_ENABLED=0 go build -trimpath -buildvcs=$(VCS) -ldflags='$(LDFLAGS)' -o bin/$$b ./cmd/$$b; done

.PHONY: engine
engine: ## Fetch the embedded ClickHouse engine
	@engine/fetch.sh

.PHONY: run
run: build engine ## Start an aggregator and three builders that really build (WITH=go|nix)
	@CGO_ENABLED=0 go run -trimpath ./e2e/demo $(if $(WITH),--with $(WITH))

.PHONY: serve
serve: build engine ## Start an empty aggregator on http://127.0.0.1:8080
	@bin/repronet-aggregator serve --data run/empty --origin localhost/repronet --listen 127.0.0.1:8080

.PHONY: test
test: engine ## Install what the tests need, then run all of them, with the race detector
	@.ci/prepare
	@$(MAKE) --no-print-directory build
	@# The times are for what hangs, not for what is slow: they hold on a machine that is busy with other things. One package
	@# more at a time than there are processors, since each waits for something now and then.
	REPRONET_BIN=$(CURDIR)/bin go test -race -shuffle=on -timeout 2h -p $$(($$(nproc) + 1)) ./...
	@# Built as the programs are, which are compiled already; the race detector has seen these tests above, and the browser
	@# the pages, which are made of the same answers. Both protocols at once: they wait for the server most of the time.
	export CGO_ENABLED=0 running= failed=; for protocol in http native; do ( export REPRONET_TEST_CLICKHOUSE=$$protocol; \
		go test -trimpath -shuffle=on -timeout 1h ./aggregator/store ./aggregator/index ./aggregator/query && \
		REPRONET_BIN=$(CURDIR)/bin go test -trimpath -timeout 1h -run 'TestBuilds$$/^(nix|verdicts|failure|manifests|evidence|verify|replay|reindex)$$' ./e2e \
		) & running="$$running $$!"; done; for one in $$running; do wait $$one || failed=1; done; test -z "$$failed"
	cd k8s/check && CGO_ENABLED=0 go test -trimpath -timeout 10m ./...

.PHONY: packages
packages: engine ## Write tarballs, .deb, .rpm and an image of the programs to dist/ (VERSION=v1.2.3 where no tag says it; PLATFORMS="linux/arm64")
	@CGO_ENABLED=0 go run -trimpath ./packaging $(if $(VERSION),--version $(VERSION)) $(if $(PLATFORMS),--platforms "$(PLATFORMS)") --engine $(ENGINE)

.PHONY: test-packages
test-packages: build engine ## Make the release twice in differing ways, compare; install, upgrade and remove it in a Debian root
	REPRONET_BIN=$(CURDIR)/bin go test -tags long -count=1 -v -timeout 2h -run 'TestOwnRelease|TestInstalled' ./e2e

.PHONY: test-toolchain
test-toolchain: build engine ## Rebuild the Go toolchain, and compare it with what the Go project publishes
	REPRONET_BIN=$(CURDIR)/bin go test -tags long -count=1 -v -timeout 1h -run TestToolchain ./e2e

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME (1m; PKG=./signing for one package); Go keeps the corpus in its build cache
	@for p in $$(grep -rl '^func Fuzz' --include='*_test.go' --exclude-dir=node_modules $(or $(PKG),.) | xargs -n1 dirname | sort -u); do \
		for f in $$(grep -hoP '^func \KFuzz\w+' $$p/*_test.go | sort -u); do \
			echo "$$p $$f"; \
			go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(or $(FUZZTIME),1m) -fuzzminimizetime 5x ./$$p; \
		done; done

.PHONY: screenshots
screenshots: build engine ## Take pictures of the pages after real builds: run/screenshots, docs/dashboard.png
	REPRONET_BIN=$(CURDIR)/bin REPRONET_SCREENSHOTS=$(CURDIR)/run/screenshots go test -count=1 -run TestBuilds/pages ./e2e
	cp run/screenshots/overview-light.png docs/dashboard.png

.PHONY: check
check: lint test ## Everything that must hold before a commit lands

.PHONY: lint
# Compiled as the programs are, so that what one of them compiled serves the other.
lint: export CGO_ENABLED = 0
lint: export GOFLAGS = -trimpath
lint: ## Modules, format, linters, dead code
	go mod tidy -diff
	$(TOOL) golangci-lint run ./...
	@dead="$$($(TOOL) deadcode -tags long -test ./...)"; if [ -n "$$dead" ]; then echo "$$dead"; exit 1; fi

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities (needs the vulnerability database)
	$(TOOL) govulncheck ./...

.PHONY: bench
bench: build engine ## Measure everything at 10 M stored observations (STORED=60000000; ONLY=closure,gate; KEEP=1 for the next time)
	@CGO_ENABLED=0 go run -trimpath ./e2e/bench $(if $(STORED),--stored $(STORED)) $(if $(ONLY),--only $(ONLY)) $(if $(KEEP),--keep)

.PHONY: bench-short
bench-short: build engine ## The same, small: 200,000 stored observations (ONLY=closure,gate)
	@CGO_ENABLED=0 go run -trimpath ./e2e/bench --short $(if $(ONLY),--only $(ONLY))

.PHONY: same-reading
same-reading: build engine ## Read every ledger of the tests by another version (OLD=revision or directory of programs), and compare
	@if [ -z "$(OLD)" ]; then echo "say with which version to compare: make same-reading OLD=v0.1.0" >&2; exit 64; fi
	rm -rf run/ledgers
	REPRONET_BIN=$(CURDIR)/bin REPRONET_KEEP_LEDGERS=$(CURDIR)/run/ledgers go test -count=1 -timeout 30m ./aggregator/... ./verify/... ./e2e
	CGO_ENABLED=0 go run -trimpath ./e2e/sameread --old $(OLD) --new bin run/ledgers

.PHONY: release-data
release-data: build engine ## Write what later releases must read, once for each release (RELEASE=0.2.0)
	@if [ -z "$(RELEASE)" ]; then echo "say which release: make release-data RELEASE=0.2.0" >&2; exit 64; fi
	@if [ -e e2e/testdata/release-$(RELEASE).tar.zst ]; then echo "the data of release $(RELEASE) is there, and is never changed" >&2; exit 1; fi
	REPRONET_BIN=$(CURDIR)/bin REPRONET_MAKE_RELEASE=$(CURDIR)/e2e/testdata/release-$(RELEASE).tar.zst go test -count=1 -v -run TestMakeRelease ./e2e

.PHONY: test-gpg
test-gpg: engine ## Compare every real OpenPGP document with what gpg makes of it (REPRONET_DATA=DIR has the data)
	REPRONET_GUIX_SIGS=all go test -count=1 -v -run 'GPG|TestRelayRealAttestations' ./evidence/guixsigs ./e2e

.PHONY: test-faults
test-faults: build engine ## Damage a server under load in every way, look for everything after each, and kill it 1,000 times
	REPRONET_BIN=$(CURDIR)/bin go test -tags long -count=1 -v -timeout 2h -run 'TestFault|TestClockFarOff|TestKills' ./e2e

.PHONY: test-canonical
test-canonical: ## Hold the readers of the one spelling against the strict parsers, on 10⁸ texts each
	go test -tags long -count=1 -v -timeout 2h -run TestCanonical ./attestation ./signing ./signing/sigstore

.PHONY: test-load
test-load: build engine ## Attack a server as strangers can, alone and together, and in 2 GiB: what the honest wait for, memory, bytes
	REPRONET_BIN=$(CURDIR)/bin go test -tags long -count=1 -v -timeout 1h ./e2e/load

.PHONY: test-witness
test-witness: ## Have the ledger cosigned by another project's witness, installed from the module proxy
	GOBIN=$(CURDIR)/bin go install filippo.io/torchwood/cmd/litewitness@v0.9.0
	REPRONET_LITEWITNESS=$(CURDIR)/bin/litewitness go test -tags long -count=1 -v -run TestIndependentWitness ./e2e

.PHONY: test-research
test-research: ## Plot what researchers plot, with Debian's python3-pandas and python3-matplotlib
	go test -tags long -count=1 -v -run TestHalfLife ./snapshot

# Where programs of the Sigstore project are kept.
SIGSTORE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/repronet/sigstore
SIGSTORE_SERVICES := fulcio=github.com/sigstore/fulcio@v1.8.8 \
	rekor-server=github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix@v2.3.0 \
	timestamp-server=github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server@v2.1.3

.PHONY: test-sigstore
test-sigstore: engine ## Sign without a key through a real Fulcio, Rekor and timestamp authority on loopback
	@e2e/install.sh $(SIGSTORE) $(SIGSTORE_SERVICES)
	REPRONET_SIGSTORE=$(SIGSTORE) go test -tags long -count=1 -v -run TestSigstore ./e2e

.PHONY: test-cosign
test-cosign: engine ## Have cosign check the bundles of builders with and without a key
	@e2e/install.sh $(SIGSTORE) $(SIGSTORE_SERVICES) cosign=github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3
	REPRONET_SIGSTORE=$(SIGSTORE) REPRONET_COSIGN=$(SIGSTORE)/cosign go test -tags long -count=1 -v -run 'TestCosign|TestSigstoreJoining' ./e2e
