# heed. `make` builds build/heed; `make demo` and `make test` do all the set-up on a fresh Debian 12; `make check` is
# the tests alone. O= names the folder for what is built, SAN= a sanitizer: the variants live side by side.

O       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
PYTHON  ?= /usr/bin/python3

PKGS     = jansson hiredis libesmtp-1.0 libcurl sqlite3 libpq libmicrohttpd yaml-0.1 libcrypto gmime-3.0
WARN     = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
OPT     ?= -O2 -g
SAN     ?=
CPPFLAGS += -D_GNU_SOURCE -DHEED_PREFIX='"$(PREFIX)"' -MMD -MP
CFLAGS  += -std=gnu11 $(OPT) $(WARN) -fno-strict-aliasing -pthread $(SAN) \
           $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDFLAGS += -pthread $(SAN) -rdynamic
LDLIBS  += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm
# Memory goes from thread to thread here: a message is read, turned, sent and let go of by four of them. A sanitizer
# brings its own.
ifeq ($(SAN),)
LDLIBS  += $(shell pkg-config --libs jemalloc 2>/dev/null)
endif

GATEWAY  = $(wildcard gateway/*.c gateway/commands/*.c)
ADAPTERS = $(wildcard adapters/*.c)
OBJ      = $(patsubst %.c,$(O)/obj/%.o,$(filter-out gateway/main.c,$(GATEWAY) $(ADAPTERS)))
SCHEMA   = $(sort $(wildcard config/schema/*.sql))
SCHEMA_PG = $(sort $(wildcard config/schema/postgres/*.sql))
OBJ     += $(O)/obj/schema_sqlite.o $(O)/obj/schema_postgres.o
PAGES    = $(sort $(wildcard templates/pages/*.html templates/pages/words/*.json templates/assets/*))
OBJ     += $(O)/obj/pages_own.o
OBJ     += $(O)/obj/openapi.o
UNIT     = $(patsubst tests/%.c,$(O)/tests/%,$(wildcard tests/unit/test_*.c tests/contract/test_*.c tests/peers/*.c))
TESTLIB  = $(patsubst %.c,$(O)/obj/%.o,$(filter-out $(wildcard tests/*/test_*.c),$(wildcard tests/unit/*.c tests/contract/*.c)))

.PHONY: FORCE crash torture torture-redis audit-million restart-million http-full hostile-mail bench bench-scale all deps demo test check latency promise hours-full receipts unit format format-check tidy rooms model simulate fuzz fuzzers man install clean
.SECONDARY:

all: $(O)/heed

$(O)/heed: $(O)/obj/gateway/main.o $(O)/libheed.a
	@echo "  LINK $@"
	@$(CC) $(LDFLAGS) -o $@ $< -Wl,--whole-archive $(O)/libheed.a -Wl,--no-whole-archive $(LDLIBS)

# The same with the crash switch (gateway/crash.h), for the tests: only what has a labelled step is compiled again.
CRASHING = $(patsubst %.c,%.o,$(shell grep -lE 'CRASH_POINT|HEED_CRASH' gateway/*.c gateway/commands/*.c adapters/*.c))
CRASH_OBJ = $(addprefix $(O)/crash/obj/,$(CRASHING)) $(filter-out $(addprefix $(O)/obj/,$(CRASHING)),$(OBJ))

crash: $(O)/crash/heed

$(O)/crash/heed: $(O)/obj/gateway/main.o $(CRASH_OBJ)
	@echo "  LINK $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(O)/crash/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(CPPFLAGS) -DHEED_CRASH $(CFLAGS) -Igateway -Iadapters -c -o $@ $<

$(O)/libheed.a: $(OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^

# gateway/ sees libc and Jansson; adapters/ sees gateway/*.h as well; tests see both.
$(O)/obj/gateway/%.o: gateway/%.c
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -Igateway -c -o $@ $<

$(O)/obj/adapters/%.o: adapters/%.c
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -Igateway -Iadapters -c -o $@ $<

# The steps of the schemas go into the binary: NNN-name.sql is step NNN. $(1): the list's name, $(2): the files.
define schema_c
	@mkdir -p $(@D)
	@( echo '#include "store_private.h"'; echo 'extern const struct schema_step $(1)[];'; \
	echo 'const struct schema_step $(1)[] = {'; \
	for f in $(2); do \
		name=$$(basename $$f .sql); \
		echo "{ 1$${name%%-*} - 1000, \"$$name\","; \
		sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $$f; echo '},'; \
	done; echo '{0}};' ) > $@.new && mv $@.new $@
endef

$(O)/gen/schema_sqlite.c: $(SCHEMA) Makefile
	$(call schema_c,schema_steps,$(SCHEMA))

$(O)/gen/schema_postgres.c: $(SCHEMA_PG) Makefile
	$(call schema_c,postgres_steps,$(SCHEMA_PG))

$(O)/obj/schema_%.o: $(O)/gen/schema_%.c
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-missing-field-initializers -Igateway -Iadapters -c -o $@ $<

# The customers' pages go into the binary as well.
$(O)/gen/pages_own.c: $(PAGES) Makefile
	@mkdir -p $(@D)
	@( echo '#include "pages_private.h"'; echo 'const struct page_source page_sources[] = {'; \
	for f in $(PAGES); do \
		echo "{ \"$${f#templates/}\","; \
		sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $$f; echo ", $$(wc -c < $$f) },"; \
	done; echo '{0}};' ) > $@.new && mv $@.new $@

$(O)/obj/pages_own.o: $(O)/gen/pages_own.c
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-missing-field-initializers -Igateway -c -o $@ $<

$(O)/obj/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -Igateway -Iadapters -Itests -c -o $@ $<

# So does the description of the API.
$(O)/gen/openapi.c: config/openapi.yaml Makefile
	@mkdir -p $(@D)
	@( echo '#include "api_private.h"'; echo 'const char api_description[] ='; \
	sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $<; echo ';' ) > $@.new && mv $@.new $@

$(O)/obj/openapi.o: $(O)/gen/openapi.c
	@mkdir -p $(@D)
	@echo "  CC   $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -Igateway -c -o $@ $<

# An archive: a test takes the helpers that it calls, and nothing that they need in its turn gets in the others' way.
$(O)/libtests.a: $(TESTLIB)
	@rm -f $@
	@$(AR) rcs $@ $^

$(O)/tests/%: $(O)/obj/tests/%.o $(O)/libtests.a $(O)/libheed.a
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(LDFLAGS) -o $@ $< $(O)/libtests.a $(O)/libheed.a $(LDLIBS) -lcmocka -lssl

# Its stand-ins for the store, the turn and the configuration come before what the handlers would pull in.
$(O)/tests/unit/test_api: LDFLAGS += -Wl,-z,muldefs

unit: $(UNIT)

comma    = ,
# The simulator's clock is its own, and it keeps no log.
$(O)/tests/simulate/simulate: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,moment_now moment_mono nanosleep log_line)

# libFuzzer, with clang: in a build whose SAN has fuzzer-no-link (run.py's ASAN).
FUZZ     = $(patsubst tests/%.c,$(O)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))

# Calls are believed where the input says so: what is read of them stands behind the signature.
$(O)/tests/fuzz/fuzz_callback: LDFLAGS += -Wl,--wrap=callback_is_signed

fuzzers: $(FUZZ)

$(O)/tests/fuzz/%: $(O)/obj/tests/fuzz/%.o $(O)/libheed.a
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(O)/libheed.a $(LDLIBS)

-include $(shell find $(O)/obj $(O)/crash -name '*.d' 2>/dev/null)

# --- set-up, tests, demo ---

# A fresh Debian's server packages would start on their own ports: policy-rc.d keeps them quiet while we install.
deps:
	@tests/install-packages build demo test
	@command -v npm >/dev/null || tests/install-packages peers

demo:
	@tests/install-packages build demo
	@$(MAKE) --no-print-directory all
	@DEMO=$(DEMO) $(PYTHON) -X utf8 tests/demo/demo.py

test:
	@tests/install-packages build demo test
	@command -v npm >/dev/null || tests/install-packages peers
	@$(MAKE) --no-print-directory check

check:
	@$(PYTHON) tests/run.py

# Kills of the gateway (KILLS=1000: half at random moments, half at the labelled steps), and of Redis (KILLS=50). SEED=…
torture: all crash
	@KILLS=$(or $(KILLS),1000) $(PYTHON) -X utf8 tests/end_to_end/torture.py gateway

torture-redis: all
	@KILLS=$(or $(KILLS),50) $(PYTHON) -X utf8 tests/end_to_end/torture.py redis

# A million contacts audited; a start with a million deferred messages: printed, not asserted. MILLION=…
audit-million restart-million: all
	@$(PYTHON) -X utf8 tests/bench/million.py $(@:-million=)
# Gateways, PostgreSQL and Redis crash and freeze while customers change their minds.
torture-cluster: all
	@$(PYTHON) tests/torture/cluster.py

# Every end-to-end test on PostgreSQL, and again with two gateways.
.PHONY: check-postgres torture-cluster
check-postgres:
	@$(PYTHON) tests/run.py postgres

# From XADD to the receiver on an idle machine: printed, not asserted.
latency: all
	@$(PYTHON) tests/bench/latency.py

# 100,000 due at once, urgent beside 1,000,000 in bulk, a campaign of 500,000 held: WHEN="due lanes campaign". Minutes.
load: all
	@$(PYTHON) tests/bench/when.py $(WHEN)

# Forty customers change their minds while messages stream at full speed: nothing arrives against a confirmed choice.
promise: all
	@HEED_PROMISE_SECONDS=$(SECONDS) $(PYTHON) -m pytest -q -s -p no:cacheprovider tests/end_to_end/test_promise.py

# heed, beside the usual Node stack and Kannel, on this machine: one run, ten minutes at most.
bench:
	@tests/install-packages build demo bench
	@command -v npm >/dev/null || tests/install-packages peers
	@test -e /usr/include/node/node.h || tests/install-packages headers
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tests/bench/bench.py

# What a message costs as the store grows to millions, and what it takes to look into it. Minutes, and some GB under /tmp.
bench-scale:
	@tests/install-packages build demo bench
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tests/bench/scale.py

# Every zone of the system against glibc, every three hours, and against Python's zoneinfo, 10,000 cases in each.
hours-full: $(O)/tests/unit/test_zone $(O)/tests/unit/test_hours
	@HEED_FULL=1 $(O)/tests/unit/test_zone
	@HEED_FULL=1 O=$(O) $(PYTHON) -m pytest -q -s -p no:cacheprovider tests/unit/test_hours_model.py

# Answers of submits and receipts in random order, lost and repeated, with crashes between, over 100,000 messages.
receipts: $(O)/tests/unit/test_receipts_random
	@HEED_RECEIPTS=$${HEED_RECEIPTS:-100000} $(O)/tests/unit/test_receipts_random

# 10,000 mails of those who mean harm, under the sanitizers.
hostile-mail:
	@$(MAKE) --no-print-directory O=$(O)/asan SAN="-fsanitize=address,undefined -fno-omit-frame-pointer" OPT="-O1 -g" \
		$(O)/asan/tests/unit/test_mail_hostile
	@HEED_FULL=1 $(O)/asan/tests/unit/test_mail_hostile

# 10,000 random and mutated requests, and all other hostile ones, to a gateway built with the sanitizers.
http-full:
	@$(MAKE) --no-print-directory O=build/asan SAN="-fsanitize=address,undefined -fno-omit-frame-pointer" OPT="-O1 -g" all
	@HEED_FULL=1 HEED_BIN=$(CURDIR)/build/asan/heed $(PYTHON) -m pytest -q -s -p no:cacheprovider tests/end_to_end/test_http_hostile.py

SOURCES = $(wildcard gateway/*.[ch] gateway/commands/*.[ch] adapters/*.[ch] tests/*/*.[ch])

format:
	clang-format -i $(filter-out %/reason_codes.h %/config_keys.h,$(SOURCES))

format-check:
	clang-format --dry-run -Werror $(filter-out %/reason_codes.h %/config_keys.h,$(SOURCES))

# One target a file, so that -j works.
TIDY = $(patsubst %.c,$(O)/tidy/%.ok,$(filter %.c,$(filter gateway/% adapters/%,$(SOURCES))))

tidy: $(TIDY)

$(O)/tidy/%.ok: %.c
	@mkdir -p $(@D)
	@echo "  TIDY $<"
	@clang-tidy --quiet $< -- -std=gnu11 $(filter-out -MMD -MP,$(CPPFLAGS)) -Igateway -Iadapters \
		$(shell pkg-config --cflags $(PKGS)) 2>/dev/null
	@touch $@

rooms:
	@$(PYTHON) tests/rooms.py

ASAN     = O=build/asan CC=clang SAN="-fsanitize=address,undefined,fuzzer-no-link -fno-omit-frame-pointer" OPT="-O1 -g"
SECONDS ?= 60

# Each fuzzer for SECONDS under ASan and UBSan; ONLY="smtp zone" chooses.
fuzz:
	@$(MAKE) --no-print-directory $(ASAN) fuzzers
	@$(PYTHON) tests/fuzz/fuzz.py --seconds $(SECONDS) $(ONLY)

# SEEDS=N: the seeds 1 to N; SEEDS=FROM:N: from FROM on.
SEEDS   ?= 100000
simulate: $(O)/tests/simulate/simulate
	@$< $(SEEDS)

# The promise as a model, by spin: everything that its bounds allow.
model:
	@$(PYTHON) tests/model/model.py

# What the binary says of itself, from its tables of commands, options and keys.
MAN      = $(O)/man/heed.1 $(O)/man/heed.yaml.5
COMPLETE = $(O)/completion/bash $(O)/completion/zsh $(O)/completion/fish

man: $(MAN)

$(O)/man/heed.1: $(O)/heed
	@mkdir -p $(@D)
	@$(O)/heed help man > $@.new && mv $@.new $@

$(O)/man/heed.yaml.5: $(O)/heed
	@mkdir -p $(@D)
	@$(O)/heed help config man > $@.new && mv $@.new $@

$(O)/completion/%: $(O)/heed
	@mkdir -p $(@D)
	@$(O)/heed help completion $* > $@.new && mv $@.new $@

# The binary knows where its providers are installed: built for another PREFIX, it is built again.
$(O)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(PREFIX)' | cmp -s - $@ || echo '$(PREFIX)' > $@

$(O)/obj/gateway/provider.o $(O)/obj/gateway/commands/help_man.o: $(O)/prefix

SHARE    = $(DESTDIR)$(PREFIX)/share

# /etc is left to people. The sample is for a system's folders: those that heed.service makes.
install: all $(MAN) $(COMPLETE)
	install -D -m 755 $(O)/heed $(DESTDIR)$(PREFIX)/bin/heed
	install -D -m 644 $(O)/man/heed.1 $(SHARE)/man/man1/heed.1
	install -D -m 644 $(O)/man/heed.yaml.5 $(SHARE)/man/man5/heed.yaml.5
	install -D -m 644 $(O)/completion/bash $(SHARE)/bash-completion/completions/heed
	install -D -m 644 $(O)/completion/zsh $(SHARE)/zsh/site-functions/_heed
	install -D -m 644 $(O)/completion/fish $(SHARE)/fish/vendor_completions.d/heed.fish
	install -d $(SHARE)/heed/providers $(SHARE)/heed/config $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 config/providers/*.yaml config/providers/README.md $(SHARE)/heed/providers
	find templates -type f -exec install -D -m 644 {} $(SHARE)/heed/{} \;
	install -m 644 config/products.yaml config/openapi.yaml config/asyncapi.yaml $(SHARE)/heed/config
	sed -e 's|"sqlite:../var/heed.db"|"sqlite:/var/lib/heed/heed.db"|' -e 's|^#http:|http:|' \
		-e 's|^#  socket: ../var/heed.sock|  socket: /run/heed/heed.sock|' \
		-e 's|^#templates: ../templates|templates: $(PREFIX)/share/heed/templates|' \
		config/heed.yaml > $(SHARE)/heed/config/heed.yaml
	sed 's|/usr/local|$(PREFIX)|' config/heed.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/heed.service

clean:
	rm -rf build var
