# SPDX-License-Identifier: Apache-2.0
# A thin front to meson. `make`, `make check`, `make install`; see README.md.
BUILD ?= build
PREFIX ?= /opt/occlum
MESON_FLAGS ?=

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD) --prefix $(PREFIX) $(MESON_FLAGS)

demo:
	./demo

check:
	./check

clean:
	rm -rf build build-*

.PHONY: all demo check clean
