/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "../../app/testmix/options.h"

#define KEY "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 63 digits */

static struct options o;
static struct error err;

/* The two that have no default, then what is given, split at blanks. */
static int parse(const char *more)
{
	static char text[1024];
	char *argv[64] = {(char *)"testmix", (char *)"--directory", (char *)"net.conf",
		(char *)"--authority=authority.pub"};
	int argc = 4;

	snprintf(text, sizeof(text), "%s", more);
	for (char *w = strtok(text, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	memset(&err, 0, sizeof(err));
	return options_parse(&o, argc, argv, &err);
}

static void assert_refused(const char *more, const char *named)
{
	assert_int_equal(parse(more), -EINVAL);
	if (!strstr(err.msg, named))
		fail_msg("\"%s\" gave \"%s\", which does not name \"%s\"", more, err.msg, named);
}

static void defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 0);
	assert_string_equal(o.directory, "net.conf");
	assert_string_equal(o.authority, "authority.pub");
	assert_int_equal(o.packets, 20000);
	assert_int_equal(o.rate, 0);
	assert_int_equal(o.hops, 3);
	assert_int_equal(o.payload_size, 1024);
	assert_true(o.mean_delay_ms == 50);
	assert_string_equal(o.tx_port, "0");
	assert_string_equal(o.rx_port, "1");
	assert_int_equal(o.tx_address.port, 40000);
	assert_int_equal(o.rx_address.ip[2], 3);
	assert_int_equal(o.gateway.family, 0);
	assert_int_equal(o.poisson, 0);
	assert_int_equal(o.spin, 0);
	assert_int_equal(o.relay_count, 0);
	assert_null(o.json);
}

static void values_behind_a_blank_or_an_equals_sign(void **state)
{
	(void)state;
	assert_int_equal(parse("--packets=5 --rate 2500 --arrivals poisson --idle=spin "
			       "--mean-delay-ms 0.5 --gateway 10.0.0.9 --tx-port net_memif3 "
			       "--rx-address 192.0.2.7:99 --json out.json --hold"),
		0);
	assert_int_equal(o.packets, 5);
	assert_int_equal(o.rate, 2500);
	assert_int_equal(o.poisson, 1);
	assert_int_equal(o.spin, 1);
	assert_true(o.mean_delay_ms == 0.5);
	assert_int_equal(o.gateway.ip[3], 9);
	assert_string_equal(o.tx_port, "net_memif3");
	assert_int_equal(o.rx_address.port, 99);
	assert_string_equal(o.json, "out.json");
	assert_true(o.hold);
}

static void relays_are_collected(void **state)
{
	(void)state;
	assert_int_equal(parse("--telemetry entry=/run/a --telemetry=exit=/run/b=c"), 0);
	assert_int_equal(o.relay_count, 2);
	assert_string_equal(o.relays[0].name, "entry");
	assert_string_equal(o.relays[0].socket, "/run/a");
	assert_string_equal(o.relays[1].name, "exit");
	assert_string_equal(o.relays[1].socket, "/run/b=c");
}

static void every_fault_has_its_option(void **state)
{
	(void)state;
	for (unsigned f = FAULT_NONE + 1; f < FAULT_COUNT; f++) {
		char text[64];

		snprintf(text, sizeof(text), "--%s %u", fault_kinds[f].option, f + 1);
		assert_int_equal(parse(text), 0);
		for (unsigned i = FAULT_NONE + 1; i < FAULT_COUNT; i++)
			assert_int_equal(o.faults[i], i == f ? f + 1 : 0);
	}
}

static void wrong_values_are_named(void **state)
{
	static const char *const wrong[][2] = {
		{"--packets 0", "\"0\""},
		{"--packets -1", "\"-1\""},
		{"--packets 12x", "\"12x\""},
		{"--packets 5000001", "5000000"},
		{"--rate 0", "\"0\""},
		{"--rate fast", "\"fast\""},
		{"--hops 6", "from 1 to 5"},
		{"--mean-delay-ms nan", "\"nan\""},
		{"--mean-delay-ms -3", "from 0 to 500"},
		{"--arrivals bursts", "constant|poisson"},
		{"--idle sleepy", "sleep|spin"},
		{"--tx-address 10.0.0.1", "10.0.0.1"},
		{"--tx-address [::1]:7", "IPv4"},
		{"--gateway 10.0.0.1:7", "10.0.0.1:7"},
		{"--telemetry /run/a", "NAME=PATH"},
		{"--telemetry =a", "NAME=PATH"},
		{"--telemetry a=", "NAME=PATH"},
		{"--payload-size 1121", "1120"},
		{"--json=", "--json"},
		{"--hold=1", "--hold"},
		{"--forge x", "--forge"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_refused(wrong[i][0], wrong[i][1]);
}

static void what_does_not_go_together_is_told(void **state)
{
	(void)state;
	assert_refused("--packets 5 --duration 3", "exclude");
	assert_refused("--tx-port 1", "--rx-port");
	assert_refused("--sphinx-version 257", "257");
	assert_refused("--payload-size 33 --message-size 17", "--message-size");
	assert_refused("--message-size 15", "--message-size");
	assert_refused("--hops 1 --unknown-hop 1", "--unknown-hop");
	assert_refused("--packets 3 --replay 4", "--replay");
	assert_refused("--duration 3", "--rate");
	assert_refused("--duration 86400 --rate 20000000", "5000000");
	assert_int_equal(parse("--payload-size 33 --message-size 16"), 0);
	assert_int_equal(parse("--duration 3 --rate 100"), 0);
	assert_int_equal(o.packets, 300);
}

static void unknown_repeated_and_unfinished_options(void **state)
{
	(void)state;
	assert_refused("--speed 3", "--speed");
	assert_refused("packets", "packets");
	assert_refused("--packet 3", "--packet");
	assert_refused("--", "--");
	assert_refused("--rate 3 --rate 4", "--rate");
	assert_refused("--packets", "lacks its value");
}

static void too_many_relays(void **state)
{
	char text[1024] = "";

	(void)state;
	for (int i = 0; i <= OPTIONS_MAX_RELAYS; i++)
		strcat(text, " --telemetry r=/p");
	assert_refused(text, "16");
}

static void directory_and_authority_are_needed(void **state)
{
	char *argv[] = {(char *)"testmix", (char *)"--authority=x", NULL};

	(void)state;
	assert_int_equal(options_parse(&o, 2, argv, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "--directory"));
	argv[1] = (char *)"--directory=x";
	assert_int_equal(options_parse(&o, 2, argv, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "--authority"));
	argv[1] = (char *)"--help";
	assert_int_equal(options_parse(&o, 2, argv, &err), 0);
	assert_true(o.help);
}

static void a_chain_stands_for_directory_and_hops(void **state)
{
	char *argv[] = {(char *)"testmix",
		(char *)"--chain=" KEY "1@10.0.0.1:9000," KEY "2@10.0.0.2:9000", NULL, NULL};

	(void)state;
	assert_int_equal(options_parse(&o, 2, argv, &err), 0);
	assert_int_equal(o.chain.hops, 2);
	assert_int_equal(o.hops, 2);
	argv[2] = (char *)"--directory=x";
	assert_int_equal(options_parse(&o, 3, argv, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "--chain and --directory exclude each other"));
	argv[2] = argv[1];
	assert_int_equal(options_parse(&o, 3, argv, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "--chain is given twice"));
}

static void help_names_every_fault(void **state)
{
	char text[16384] = "";
	FILE *f = fmemopen(text, sizeof(text), "w");

	(void)state;
	assert_non_null(f);
	options_describe(f);
	fclose(f);
	for (unsigned i = FAULT_NONE + 1; i < FAULT_COUNT; i++)
		assert_non_null(strstr(text, fault_kinds[i].option));
	assert_non_null(strstr(text, "--telemetry NAME=PATH"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(values_behind_a_blank_or_an_equals_sign),
		cmocka_unit_test(relays_are_collected),
		cmocka_unit_test(every_fault_has_its_option),
		cmocka_unit_test(wrong_values_are_named),
		cmocka_unit_test(what_does_not_go_together_is_told),
		cmocka_unit_test(unknown_repeated_and_unfinished_options),
		cmocka_unit_test(too_many_relays),
		cmocka_unit_test(directory_and_authority_are_needed),
		cmocka_unit_test(a_chain_stands_for_directory_and_hops),
		cmocka_unit_test(help_names_every_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
