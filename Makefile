# Betanet mixnode. `make run` and `make test` are all that a newcomer needs; `make help` lists the rest.
#
#   SANITIZE=1   AddressSanitizer and UndefinedBehaviorSanitizer, in build/sanitize
#   DEBUG=1      no optimisation, in build/debug
#   CC=clang     in build/clang
#   V=1          show the commands
#
# What is built is found by name, so that adding a file needs no change here:
#   lib/*/X.c                libbetanet.a           app/P/*.c        betanet-P
#   lib/*/gen/X.py           prints assembly for libbetanet.a
#   tests/unit/test_X.c      build/tests/test_X, without EAL (proves that the module needs none)
#   tests/unit/eal_X.c       build/tests/eal_X, with EAL
#   tests/unit/vectors_X.c   build/tests/vectors_X  tests/fuzz/fuzz_X.c  build/tests/fuzz_X
#   perf/perf_X.c            build/perf/perf_X
# A file named *_avx2.c, *_avx512.c, *_shani.c or *_sse41.c is compiled for that instruction set; it is
# entered only after the CPU was asked (lib/crypto/cpu.h).

ifeq ($(origin CC),default)
CC := gcc
endif
comma := ,
empty :=
space := $(empty) $(empty)
variant := $(if $(filter clang%,$(CC)),clang) $(if $(SANITIZE),sanitize) $(if $(DEBUG),debug)
BUILD ?= build$(if $(strip $(variant)),/$(subst $(space),-,$(strip $(variant))))
PREFIX ?= /usr/local
DESTDIR ?=
Q := $(if $(V),,@)

VERSION := $(shell sed -n 's/^\#define BETANET_VERSION "\(.*\)"/\1/p' lib/core/version.h)
DEPS_OK := $(shell scripts/deps.sh --check >/dev/null 2>&1 && echo yes)

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
ifeq ($(DEPS_OK),yes)
DPDK_CFLAGS := $(patsubst -I%,-isystem %,$(filter-out -march=%,$(shell pkg-config --cflags libdpdk)))
DPDK_LIBS := $(shell pkg-config --libs libdpdk)
# the drivers that the labs and the embedded default name; other drivers are loaded by EAL as plug-ins
LIB_LIBS := $(shell pkg-config --libs libsodium libconfig) -lIPSec_MB -lm
JSON_LIBS := $(shell pkg-config --libs jansson)
endif
CPPFLAGS += -Ilib -D_GNU_SOURCE
# DWARF 4: valgrind 3.19 cannot read what clang 14 writes as DWARF 5
BASE_CFLAGS := -std=c11 -march=x86-64-v2 -pthread -gdwarf-4 -fno-strict-aliasing -ffp-contract=off -fstack-protector-strong
BASE_CFLAGS += $(if $(DEBUG),-O0,-O3) $(if $(SANITIZE),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer,$(if $(DEBUG),,-D_FORTIFY_SOURCE=2))
ALL_CFLAGS = $(BASE_CFLAGS) $(WARN) $(CPPFLAGS) $(DPDK_CFLAGS) $(CFLAGS)
ISA_avx2 := -mavx2 -mfma -mbmi2 -maes
ISA_avx512 := -mavx512f -mavx512ifma -mavx512vl -mavx512bw -mavx512dq -mfma -mbmi2
ISA_shani := -msha -msse4.1
ISA_sse41 := -msse4.1 -maes
isa = $(strip $(foreach i,avx2 avx512 shani sse41,$(if $(filter %_$(i),$(basename $(1))),$(ISA_$(i)))))

# unrolled vector code takes minutes and a gigabyte to compile at -O3 with sanitizers
slow = $(if $(SANITIZE),$(if $(call isa,$(1)),-O1))

LIB_SRC := $(sort $(wildcard lib/*/*.c) $(wildcard lib/*/*.S))
LIB_OBJ := $(patsubst %,$(BUILD)/%.o,$(basename $(LIB_SRC) $(wildcard lib/*/gen/*.py)))
LIB := $(BUILD)/libbetanet.a
APPS := $(sort $(patsubst app/%/,%,$(dir $(wildcard app/*/main.c))))
APP_BIN := $(APPS:%=$(BUILD)/betanet-%)
# programs that an ordinary host runs: no DPDK behind them
HOST_APPS := client keytool
PURE_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c tests/unit/vectors_*.c))
EAL_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/eal_*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
PERFS := $(patsubst perf/%.c,$(BUILD)/perf/%,$(wildcard perf/perf_*.c))
PERFS_C := $(PERFS)
PERFS += $(BUILD)/perf/perf_testpmd
# application objects that tests use: every file of an application but its main.c
APP_PARTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/main.c,$(wildcard app/client/*.c app/keytool/*.c app/testmix/*.c)))

.DEFAULT_GOAL := all
.PHONY: all deps run test perf perf-compare fuzz lint format install clean help bins
.SECONDARY:

ifneq ($(DEPS_OK),yes)
# Something is missing: install it, then start over with what pkg-config says now.
all run test perf fuzz lint install bins:
	@scripts/deps.sh
	@$(MAKE) --no-print-directory $@
else
all: bins
	@echo "built $(words $(APP_BIN)) programs, $(words $(PURE_TESTS) $(EAL_TESTS)) tests in $(BUILD)"

bins: $(LIB) $(APP_BIN) $(PURE_TESTS) $(EAL_TESTS) $(FUZZERS) $(PERFS)

run: $(APP_BIN)
	@BUILD=$(BUILD) LAB_COVER="$${LAB_COVER:-generation_rate_pps = 5.0;}" scripts/lab-memif.sh

test:
	@CC="$(CC)" SANITIZE="$(SANITIZE)" BUILD="$(BUILD)" scripts/test.sh

# QUICK=1: a smoke test of about a minute; RUNS=N: processes for each benchmark; PERF="pipeline search": only these
perf: $(PERFS) $(APP_BIN)
	@BUILD=$(BUILD) scripts/perf.sh $(if $(QUICK),--quick) $(if $(RUNS),--runs $(RUNS)) $(PERF)

# make perf-compare A=old.json B=new.json; FAIL=1: exit status 1 if something became worse
perf-compare:
	@python3 perf/compare.py $(if $(A)$(B),$(A) $(B),--help) $(if $(FAIL),--fail-on-regression)

fuzz: $(FUZZERS)
	@BUILD=$(BUILD) scripts/fuzz.sh

lint:
	@scripts/lint.sh

# what a program that embeds a mix includes, with the headers that those include
PUBLIC_HEADERS := pipeline/betanet.h pipeline/betanet_bench.h sphinx/sphinx.h sphinx/packet.h sphinx/address.h crypto/crypto.h core/error.h

install: $(APP_BIN) $(LIB)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/share/betanet/drivers-cfg
	install -m 755 $(APP_BIN) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(LIB) $(DESTDIR)$(PREFIX)/lib
	for h in $(PUBLIC_HEADERS); do install -D -m 644 lib/$$h $(DESTDIR)$(PREFIX)/include/betanet/$$h; done
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' lib/betanet.pc.in >$(DESTDIR)$(PREFIX)/lib/pkgconfig/betanet.pc
	install -m 644 app/mixnode/example.conf $(wildcard drivers-cfg/*.conf drivers-cfg/*.md) $(DESTDIR)$(PREFIX)/share/betanet/drivers-cfg
endif

deps:
	@scripts/deps.sh

format:
	clang-format -i $(shell git ls-files '*.c' '*.h')

clean:
	rm -rf $(BUILD)

help:
	@sed -n '1,20s/^# \{0,1\}//p' Makefile
	@echo "targets: deps all run test perf perf-compare fuzz lint format install clean"

# --- rules ---
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@$(if $(Q),echo "  CC    $<")
	$(Q)$(CC) $(ALL_CFLAGS) $(call isa,$<) $(call slow,$<) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.S
	@mkdir -p $(@D)
	@$(if $(Q),echo "  AS    $<")
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# assembly that a script writes
$(BUILD)/%.S: %.py
	@mkdir -p $(@D)
	$(Q)python3 $< >$@.tmp && mv $@.tmp $@

$(BUILD)/%.o: $(BUILD)/%.S
	@$(if $(Q),echo "  AS    $<")
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(LIB): $(LIB_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

link = $(Q)mkdir -p $(@D) && $(if $(Q),echo "  LD    $@" &&) $(CC) $(BASE_CFLAGS) $(LDFLAGS) -o $@

define app_rule
$(BUILD)/betanet-$(1): $(patsubst %.c,$(BUILD)/%.o,$(wildcard app/$(1)/*.c)) $(LIB)
	$$(link) $$^ $(if $(filter $(1),$(HOST_APPS)),,$$(DPDK_LIBS)) $(if $(filter testmix,$(1)),-lrte_net_ring $$(JSON_LIBS)) $$(LIB_LIBS)
endef
$(foreach a,$(APPS),$(eval $(call app_rule,$(a))))

$(BUILD)/libapps.a: $(APP_PARTS)
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(PURE_TESTS): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(BUILD)/libapps.a $(LIB)
	$(link) $^ -lcmocka $(JSON_LIBS) $(LIB_LIBS)
$(EAL_TESTS): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(BUILD)/libapps.a $(LIB)
	$(link) $^ -lcmocka $(DPDK_LIBS) -lrte_net_ring $(JSON_LIBS) $(LIB_LIBS)
$(FUZZERS): $(BUILD)/tests/%: $(BUILD)/tests/fuzz/%.o $(LIB)
	$(link) $^ $(DPDK_LIBS) $(LIB_LIBS)
# runs this build's betanet-testmix beside dpdk-testpmd
$(BUILD)/perf/perf_testpmd: perf/testpmd.py
	@mkdir -p $(dir $@)
	$(Q)install -m 755 $< $@

# the flags go into the results
$(PERFS_C): $(BUILD)/perf/%: $(BUILD)/perf/%.o $(LIB)
	$(link) $^ $(DPDK_LIBS) -lrte_net_ring $(LIB_LIBS)
	$(file >$(BUILD)/perf/flags,$(CC) $(ALL_CFLAGS) $(LDFLAGS))

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
