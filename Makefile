# weir: `make help` lists the commands.
SHELL := /bin/bash
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

SOURCES := $(shell find src -name '*.ts' ! -name '*.test.ts')

.PHONY: all build setup bpf demo check room test kernels bench bench-packets bench-api bench-kpng bench-trips cluster cluster-down conformance image generate clean help

all: build

build: setup bpf dist/weir.mjs ## build the programs for the kernel and bin/weir (default)

setup: ## install missing Debian packages and node_modules
	@scripts/setup

bpf: setup
	@$(MAKE) --no-print-directory -C bpf

dist/weir.mjs: $(SOURCES) scripts/bundle package-lock.json | setup
	@scripts/bundle $(@D)

dist/test/speaker dist/test/stray: dist/test/%: test/datapath/%.c test/datapath/raw.h
	@mkdir -p $(@D) && clang -O2 -Wall -Werror -o $@ $<

demo: build ## raise a cluster of three nodes in network namespaces and try every path (KEEP=1 leaves it up)
	@bin/weir lab demo $(if $(KEEP),--keep)

check: setup ## run types, lint, house rules and unit tests in under a minute, without root
	@scripts/test check

room: setup ## run the unit tests of one room of src, such as ROOM=plan
	@scripts/test room '$(ROOM)'

test: setup ## run everything: make check, tests of the programs in C, system tests (without root, only tests that need no root)
	@scripts/test

kernels: build ## run the datapath's system tests on Debian's 6.1 and 6.12 kernels under qemu
	@test/kernels/run

bench: build ## compare Services with direct connections
	@node bench/main.ts

bench-packets: build ## compare the packet paths with kube-proxy's nftables rules: time of a packet, new connections
	@node bench/packets.ts

bench-api: build ## measure start, restart, changes and memory with 10,000 Services of a real API server (run test/cluster/build first)
	@node bench/api/main.ts

bench-trips: setup bpf ## count the files and functions that run for one change, a first start and a restart
	@node bench/trips/main.ts

bench-kpng: build ## measure memory, first Sync and changes of kpng-server with 10,000 Services and 200 agents
	@node bench/kpng/main.ts

cluster: image ## raise a real cluster (kubelets, containerd, pods) in network namespaces, with weir as its Service proxy (NODES=3, PROXY=weir)
	@test/conformance/prepare
	@node test/conformance/main.ts up --nodes $(or $(NODES),3) --proxy $(or $(PROXY),weir)

cluster-down: setup ## remove the cluster of make cluster
	@node test/conformance/main.ts down

conformance: image ## run upstream's end-to-end tests of Services against weir and kube-proxy in such clusters (ONLY=regex, PROXIES=weir,kube-proxy; half an hour each)
	@test/conformance/prepare
	@node test/conformance/run.ts $(if $(ONLY),--only '$(ONLY)',--page docs/conformance.md) $(if $(PROXIES),--proxies $(PROXIES))

image: build ## build the container image dist/weir-image.tar: an OCI layout that docker load accepts, too
	@deploy/image/root dist/image/root
	@deploy/image/pack dist/image/root dist/weir-image.tar

generate: setup ## generate src/abi/generated.ts and abi.json from bpf/abi, and src/kpng/descriptors.ts from src/kpng/*.proto
	@node scripts/abi/generate.ts
	@node scripts/kpng-descriptors.ts

clean: ## remove build results
	rm -rf dist
	@if [ -f bpf/Makefile ]; then $(MAKE) --no-print-directory -C bpf clean; fi

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20
