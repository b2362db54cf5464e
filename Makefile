# SPDX-License-Identifier: GPL-2.0-or-later
# The commands of the project; README.md says what each is for. Everything made goes under build/, downloads into the
# cache (~/.cache/dm-tiered, or TIERED_CACHE).

# What a user may set.
KERNEL ?= 6.1
ACCEL ?= auto
SEED ?=
T ?=
VM_JOBS ?= 2
# Of the power-loss campaign.
SEEDS ?=
CUTS ?=
CUT ?=
CUT_AT ?=
LOSE ?=
BOOTS ?=
TIERED_BUG ?=
# Of fuzzing: seconds for each target, and the one to run alone.
TIME ?= 60
TARGET ?=
# Of the bench.
FULL ?=
PEERS ?=
WORKLOADS ?=
BASE ?=
TIER ?= ssd
# Of new figures for tests/bench/gate.json.
REASON ?=

# The distribution's own, which has pytest; another python3 may come first in PATH.
PYTHON := /usr/bin/python3
BUILD := build
JOBS := $(shell nproc)

.DEFAULT_GOAL := help
.PHONY: help setup tierctl powercut-tools powercut-campaign memory-tools userspace guest demo vm-test vm-soak vm-shell powercut
.PHONY: breakage bench record profile-tools deb fuzz check check-model check-sanitize check-python check-style clean

help:
	@echo 'make demo      watch a file system on a tiered volume survive a power cut'
	@echo 'make vm-test   every test, in virtual machines   (T=expr KERNEL=6.1|6.12|7.2|debug ACCEL=auto|kvm|tcg SEED=n)'
	@echo 'make vm-soak   the same tests with their long counts; goes on where it was interrupted'
	@echo 'make powercut  power loss at the grain of cache lines: the driver, then faulty ones   (SEEDS=n CUTS=n; SEED=n CUT=n'
	@echo '               judges one image again; TIERED_BUG=n|name|none runs one faulty driver or none; CUT_AT=stacks,'
	@echo '               LOSE=read and BOOTS=n: see tests/powercut/README.md)'
	@echo 'make breakage  promises broken on purpose, each of which a test must notice   (T="name..." for some)'
	@echo 'make bench     the volume and its neighbours side by side   (FULL=1; PEERS= WORKLOADS= names; TIER=ssd|hdd;'
	@echo '               BASE=old.json)'
	@echo 'make record    the instructions that requests may take, counted anew for tests/bench/gate.json   (REASON="why")'
	@echo 'make check     what needs no virtual machine: unit tests, sanitizers, model, static checks'
	@echo 'make deb       Debian packages (module, tools, testbed) into build/deb/, unpacked and tried'
	@echo 'make fuzz      any bytes to whatever reads media, replies and files, by libFuzzer   (TIME=seconds TARGET=name)'
	@echo 'make vm-shell  a shell in a virtual machine with the module loaded'
	@echo 'make clean     remove build/'

# Host packages; nothing to do (and quick to tell) when all are there.
setup:
	@mkdir -p $(BUILD)
	@ci/setup

# The unit tests run in the build with sanitizers alone: compiling them twice takes longer than all else.
USERSPACE_OPTIONS := -DCMAKE_BUILD_TYPE=RelWithDebInfo -DTIERED_UNIT_TESTS=OFF -DTIERED_SHARED=ON

# Two makes at once take turns. What failed is shown, what went well is not.
define cmake_build
	@cmake -S userspace -B $(BUILD)/$(1) $(2) >$(BUILD)/$(1).log 2>&1 || { cat $(BUILD)/$(1).log >&2; exit 1; }
	@flock $(BUILD)/$(1).lock cmake --build $(BUILD)/$(1) -j$(JOBS) $(3) >$(BUILD)/$(1).log 2>&1 || \
		{ cat $(BUILD)/$(1).log >&2; exit 1; }
endef

tierctl: setup
	$(call cmake_build,userspace,$(USERSPACE_OPTIONS),--target tierctl)

userspace: setup
	$(call cmake_build,userspace,$(USERSPACE_OPTIONS))

# What records and makes images of power losses.
powercut-tools: setup
	$(call cmake_build,userspace,$(USERSPACE_OPTIONS),--target powercut)

powercut-campaign: setup
	$(call cmake_build,userspace,$(USERSPACE_OPTIONS),--target powercut-campaign)

# What measures and uses memory in a guest.
memory-tools: setup
	$(call cmake_build,userspace,$(USERSPACE_OPTIONS),--target memory-probe visits large_map)

# Kernel, guest image and module.
guest: tierctl powercut-tools memory-tools
	@$(PYTHON) -m images fetch --kernel $(KERNEL)

demo: guest
	@$(PYTHON) -m tests.demo --kernel $(KERNEL) --accel $(ACCEL)

TEST_OPTIONS = --kernel '$(KERNEL)' --accel '$(ACCEL)' $(if $(SEED),--seed '$(SEED)') $(if $(T),-k '$(T)')

# Machines of two shards run beside each other: one alone leaves half of the time for which it waits to nobody.
# Tests of boots need a system as well; here a download that fails is not a test that fails.
vm-test: guest
	@$(PYTHON) -m images fetch --kernel $(KERNEL) --init systemd
	@tests/run --jobs $(VM_JOBS) $(TEST_OPTIONS)

vm-soak: guest
	@tests/run --soak $(TEST_OPTIONS)

vm-shell: guest
	@qemu/vm shell --kernel $(KERNEL) --accel $(ACCEL) --nvdimm 512M --disk 4G,iops=2000

powercut: guest powercut-campaign
	@$(PYTHON) -m tests.powercut --kernel '$(KERNEL)' $(if $(SEED),--seed '$(SEED)') $(if $(SEEDS),--seeds '$(SEEDS)') \
		$(if $(CUTS),--cuts '$(CUTS)') $(if $(CUT),--cut '$(CUT)') $(if $(TIERED_BUG),--mutant '$(TIERED_BUG)') \
		$(if $(CUT_AT),--cut-at '$(CUT_AT)') $(if $(LOSE),--lose '$(LOSE)') $(if $(BOOTS),--boots '$(BOOTS)')

# Promises broken on purpose; the test of each must go red.
breakage: guest
	@$(PYTHON) -m tests.breakage --kernel '$(KERNEL)' $(T)

fuzz: setup
	@ci/setup fuzz
	$(call cmake_build,fuzz,-DTIERED_FUZZ=ON -DTIERED_SANITIZE=ON -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++)
	@userspace/fuzz/run $(BUILD)/fuzz '$(TIME)' $(TARGET)

bench: guest
	@$(PYTHON) -m tests.bench --kernel '$(KERNEL)' $(if $(FULL),--full) $(if $(PEERS),--peers '$(PEERS)') \
		--tier '$(TIER)' $(if $(WORKLOADS),--workloads '$(WORKLOADS)') $(if $(BASE),--base '$(BASE)')

record: guest
	@$(PYTHON) -m tests.bench.gate --kernel '$(KERNEL)' --reason '$(REASON)'

# What counts the instructions of a request by function (tests/bench/paths.py).
profile-tools: setup
	$(call cmake_build,userspace,$(USERSPACE_OPTIONS),--target profile)

# At once: each has stretches in which one processor does all. What each says comes when it has ended.
check: setup
	@$(MAKE) --no-print-directory -j4 --output-sync=target check-model check-sanitize check-python check-style

# What needs speed or is loaded elsewhere: the model, and the library as programs find it.
check-model: userspace
	@ctest --test-dir $(BUILD)/userspace --output-on-failure -j$(JOBS)

check-sanitize: setup
	$(call cmake_build,sanitize,-DTIERED_SANITIZE=ON -DTIERED_MODEL=OFF)
	@ctest --test-dir $(BUILD)/sanitize --output-on-failure -j$(JOBS)

check-python: setup
	@$(PYTHON) -m pytest -q -p no:cacheprovider --junitxml=$(BUILD)/test/unit.xml tests/unit

check-style: setup
	@ci/style

# Its own packages of the host are installed only here.
deb: setup
	@ci/setup deb
	@JOBS=$(JOBS) ci/deb
	@tests/deb/try build/deb

clean:
	rm -rf $(BUILD)
