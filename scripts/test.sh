#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# test.sh [LABEL-REGEX] - installs what is needed on a Debian 12, builds, runs every test.
# Two builds, one run: unit, golden and cli tests with ASan and UBSan; fault, e2e and lint on the
# build that users get. The regular expression picks labels (unit golden cli fault e2e lint).
set -euo pipefail

cd "$(dirname "$0")/.."
labels=${1:-.}
jobs=$(nproc)
export TRANSIT_CACHE=${TRANSIT_CACHE:-$PWD/build/cache}

install_packages() { ./scripts/install.sh build test machine guest; }

build_both() {
	cmake --preset dev -DTRANSIT_LAYERS='unit;golden;cli' >build/configure-dev.log
	cmake --preset release -DTRANSIT_LAYERS='fault;e2e;lint' >build/configure-release.log
	cmake --build --preset dev -- -j "$jobs"
	cmake --build --preset release -- -j "$jobs"
	cmake --build --preset release --target machine
}

# A test file that names both build folders: ctest then prints one summary for all.
run_all() {
	mkdir -p build/all
	printf 'subdirs("%s" "%s")\n' "$PWD/build/dev" "$PWD/build/release" >build/all/CTestTestfile.cmake
	ctest --test-dir build/all --output-on-failure --no-tests=error -j "$jobs" -L "$labels"
}

main() {
	mkdir -p build
	install_packages
	build_both
	run_all
}

main
