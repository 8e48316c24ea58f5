# The front door for everyday use; `make help` lists the targets. On a machine without make,
# `./setup.sh TARGET` installs it first.

BUILD ?= build
JOBS  ?= $(shell nproc)
# Tests run in parallel, except those that measure time or use the whole machine.
CTEST := ctest --output-on-failure --no-tests=error -j $(JOBS)

.DEFAULT_GOAL := build
.PHONY: help packages build demo test bench asan coverage nightly format tidy clean

help: ## Lists the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

packages:
	@./setup.sh packages

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json | packages
	@cmake --preset release -B $(BUILD)

build: packages $(BUILD)/build.ninja ## Builds everything
	@cmake --build $(BUILD) -j $(JOBS)

demo: packages $(BUILD)/build.ninja ## Three nodes and two plugins on real data
	@cmake --build $(BUILD) -j $(JOBS) --target troupe troupe-plugin-init troupe_notes_plugin
	@/usr/bin/python3 -B tests/demo/demo.py --build $(BUILD)

test: build ## Runs all tests
	@cd $(BUILD) && $(CTEST)

bench: packages ## Measures, and compares with bare CAF; QUICK=1 for a short run
	@cmake --preset release -B $(BUILD)
	@cmake --build $(BUILD) -j $(JOBS) --target troupe troupe-bench
	@bench/peers/install.sh $(BUILD)/bench-peers
	@$(BUILD)/bin/troupe-bench $(if $(QUICK),--quick)

asan: packages ## Runs all tests with the address and undefined-behaviour sanitizers
	@cmake --preset asan
	@cmake --build build-asan -j $(JOBS)
	@cd build-asan && $(CTEST)

coverage: packages ## Runs all tests and measures line coverage; fails below 98 %
	@cmake --preset coverage
	@cmake --build build-coverage -j $(JOBS)
	@find build-coverage -name '*.gcda' -delete
	@cd build-coverage && $(CTEST)
	@gcovr -j $(JOBS) --root . --object-directory build-coverage --gcov-ignore-parse-errors \
	  --filter 'messages/' --filter 'plugins/' --filter 'actors/' --filter 'runtime/' \
	  --exclude-unreachable-branches --fail-under-line 98 \
	  --txt build-coverage/coverage.txt --print-summary

nightly: build ## Runs the long proofs: an hour of seeds, broken rules, a fresh machine, sanitizers
	@cd $(BUILD) && ctest --verbose --no-tests=error -C nightly -L nightly
	@$(MAKE) --no-print-directory asan

format: packages ## Formats the sources
	@git ls-files '*.hpp' '*.cpp' | xargs clang-format -i

tidy: build ## Lints the sources
	@./setup.sh packages clang-tidy
	@git ls-files 'messages/*.cpp' 'plugins/*.cpp' 'actors/*.cpp' 'runtime/*.cpp' | \
	  xargs clang-tidy -p $(BUILD) --quiet

clean: ## Removes what was built
	@rm -rf build build-asan build-coverage
