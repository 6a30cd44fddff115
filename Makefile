# SPDX-License-Identifier: Apache-2.0
# A thin front to meson, for hands that type make. See README.md.
#
#   make submodule           installs what building and testing need (scripts/install-deps)
#   make                     build (SGX_MODE=SIM make: the same; there is one build)
#   make test                musl programs inside the enclave; TESTS=name picks, times=N repeats
#   make test-glibc          the same for glibc programs
#   make check | demo        the two commands
#   make install             to PREFIX (default /opt/occlum), `occlum` linked into /usr/local/bin
#   OCCLUM_RELEASE_BUILD=1 make [install]   the same code without debugging information, in build-release/
#   OCCLUM_BIN_PATH=/opt/occlum/build/bin make test   tests what is installed, builds nothing
#   make fuzz | bench | bench-libos | bench-storage | bench-mount | clean | check-long | crash-long | soak
ifeq ($(OCCLUM_RELEASE_BUILD),1)
BUILD ?= build-release
SETUP := -Ddebug=false -Doptimization=2
endif
BUILD ?= build
PREFIX ?= /opt/occlum
TESTS ?=
times ?= 1

ifneq ($(filter-out SIM HW,$(SGX_MODE)),)
$(error SGX_MODE is "$(SGX_MODE)"; SIM and HW are known)
endif

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD) --prefix $(PREFIX) $(SETUP)

submodule:
	scripts/install-deps

# A build folder that was set up for another prefix is set to this one.
install: all
	@[ "$$(meson introspect $(BUILD) --buildoptions | \
		python3 -c 'import json, sys; print([o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"][0])')" \
		= "$(PREFIX)" ] || { meson configure $(BUILD) --prefix $(PREFIX) && ninja -C $(BUILD); }
	meson install -C $(BUILD) --no-rebuild

# With OCCLUM_BIN_PATH the tests take the `occlum` of that folder (tests/harness.py).
built := $(if $(OCCLUM_BIN_PATH),,all)

test: $(built)
	tests/syscalls/run.py --build $(BUILD) --libc musl --times $(times) $(TESTS)

test-glibc: $(built)
	tests/syscalls/run.py --build $(BUILD) --libc glibc --times $(times) $(TESTS)
	$(if $(TESTS),,tests/programs/run.py --build $(BUILD) --times $(times))

demo:
	./demo

check:
	./check

# About a million distinct crash states of volumes.
crash-long: all
	SECVOL_CRASH_RUNS=$${SECVOL_CRASH_RUNS:-1300} $(BUILD)/tests/secvol/test-secvol-crash

# The figures of processes, signals and what they tell each other, against native Linux.
bench-libos: all
	bench/libos.py --build $(BUILD)

# A volume's day in simulated time: operations, snapshots, growth, new keys, and power cuts; for SEEDS lives.
SEEDS ?= 1 2 3 4 5
soak: all
	@for s in $(SEEDS); do SOAK_HOURS=24 SOAK_SEED=$$s $(BUILD)/tests/secvol/soak-secvol || exit 1; done

bench-storage: all
	$(BUILD)/bench/bench-secvol
	$(BUILD)/bench/bench-image
	bench/files.py --build $(BUILD)

# The mount against ext4, gocryptfs and securefs; as root.
bench-mount: all
	scripts/install-deps --bench
	bench/mount.py --build $(BUILD)

check-long:
	./check --long

bench: all
	bench/run.py --build $(BUILD)

fuzz:
	scripts/fuzz

clean:
	rm -rf build build-*

.PHONY: all submodule install test test-glibc demo check check-long crash-long bench bench-libos bench-storage bench-mount soak fuzz clean
