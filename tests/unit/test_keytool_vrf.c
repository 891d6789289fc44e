/* SPDX-License-Identifier: BSD-3-Clause */
#include "audit_lab.h"

static const struct lab_record links = {
	.node = "entry1", .suite = ECVRF_TAI, .source = BEACON_DIRECTORY, .epoch = LAB_NB_EPOCH};

static const char epoch_label[] = "betanet-epoch-record-v1";
static const char neighbour_label[] = "betanet-neighbour-record-v1";

static void put_neighbours(const char *file, const struct lab_record *r, uint8_t layer)
{
	uint8_t data[NEIGHBOUR_RECORD_SIZE], beta[64];

	make_neighbours(r, layer, data, beta);
	put(file, data, sizeof(data));
}

/* Runs one command on one record; the exit status and words of its answer, on the right stream. */
static void expect(
	const char *command, const char *options, const char *file, int status, const char *words)
{
	struct child c = start("one", NULL, "vrf %s %s %s", command, options, path(file));

	assert_status(&c, status);
	assert_says(status == 0 ? c.out : c.err, words);
}

static void expect_epoch(const char *file, int status, const char *words)
{
	expect("verify-epoch", audit_options("past", "entry1"), file, status, words);
}

/* ---- verify-epoch */

static void an_epoch_record_is_shown_line_by_line(void **state)
{
	static const char *const lines[] = {": proved\n", "node         entry1, layer 1\n",
		"epoch        173586240\n",
		"time         2025-01-03T00:00:00Z to 2025-01-03T00:00:10Z (10 s)\n",
		"key period   0\n", "suite        3 (ECVRF-EDWARDS25519-SHA512-TAI)\n",
		"made from    the directory; recomputed, the same\n",
		"mean delay   50000000 ns (50.000 ms)\n",
		"longest      1000000000 ns (1000.000 ms)\n",
		"packets      class 10: 512 to 1023\n", "valid from 2025-01-01T00:00:00Z until",
		"(expired: for the past only)", "1 record: 1 proved, 0 not proved, 0 refused\n"};
	uint8_t beacon[32];
	char hex[65];

	(void)state;
	put_epoch("good", &plain);
	for (size_t i = 0; i < COUNT(lines); i++)
		expect_epoch("good", 0, lines[i]);
	beacon_of(&plain, beacon);
	hex_encode(hex, beacon, 32);
	expect_epoch("good", 0, hex);
}

static void the_other_suite_is_shown(void **state)
{
	struct lab_record r = plain;

	(void)state;
	r.suite = ECVRF_ELL2;
	put_epoch("ell2", &r);
	expect_epoch("ell2", 0, "suite        4 (ECVRF-EDWARDS25519-SHA512-ELL2)\n");
}

static void a_beacon_for_want_of_a_file_is_recomputed(void **state)
{
	struct lab_record r = plain;

	(void)state;
	r.source = BEACON_FALLBACK;
	put_epoch("fallback", &r);
	expect_epoch("fallback", 0, "because the relay's beacon file gave none; recomputed");
}

/* With --beacon-file, whose lines are given. */
static void expect_beacon(const char *lines, int status, const char *words)
{
	char options[700];

	put("beacons", lines, strlen(lines));
	snprintf(options, sizeof(options), "%s --beacon-file %s", audit_options("past", "entry1"),
		path("beacons"));
	expect("verify-epoch", options, "drand", status, words);
}

static void a_file_beacon_is_compared_only_with_a_file(void **state)
{
	struct lab_record r = plain;
	const uint64_t begin = LAB_EPOCH * LAB_SECONDS;
	char right[65], other[65], lines[300];

	(void)state;
	r.source = BEACON_FILE;
	put_epoch("drand", &r);
	expect_epoch("drand", 0, "the relay's beacon file; NOT checked");
	hex_encode(right, file_beacon, 32);
	hex_encode(other, network, 32);
	snprintf(lines, sizeof(lines), "76 %lu %s\n77 %lu %s\n", begin - 60, other, begin - 30,
		right);
	expect_beacon(lines, 0, "the same as round 77 in");
	snprintf(lines, sizeof(lines), "76 %lu %s\n", begin - 60, other);
	expect_beacon(lines, 1, "its beacon is none of the 1 in");
	expect_beacon("", 1, "its beacon is none of the 0 in");
	snprintf(lines, sizeof(lines), "77 %lu %s\n", begin + 3600, right);
	expect_beacon(lines, 1, "round 77, became known at 2025-01-03T01:00:00Z, after the epoch");
	snprintf(lines, sizeof(lines), "76 %lu %s\n77 %s\n", begin - 60, other, right);
	expect_beacon(lines, 1, "beacons:2: a beacon is one line");
}

static void an_epoch_that_was_not_proved_is_shown_and_fails(void **state)
{
	struct lab_record r = plain;
	struct child c;

	(void)state;
	r.unproved = true;
	put_epoch("unproved", &r);
	expect_epoch("unproved", 1, "the relay says that it could not prove epoch 173586240");
	c = start("one", NULL, "vrf verify-epoch %s %s", audit_options("past", "entry1"),
		path("unproved"));
	assert_status(&c, 1);
	assert_says(c.out, ": genuine, but NOT PROVED\n");
	assert_says(c.out, "0 proved, 1 not proved, 0 refused");
}

/* Writes one changed copy for each bit and has all of them checked in one run. */
static void all_bits(const char *command, const uint8_t *data, size_t size)
{
	size_t n = 8 * size;
	char **names = calloc(n, sizeof(*names)), line[700], summary[100];
	struct child c;

	for (size_t bit = 0; bit < n; bit++) {
		uint8_t bad[RECORD_MAX_SIZE];
		char name[32];

		memcpy(bad, data, size);
		bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
		snprintf(name, sizeof(name), "bit%zu", bit);
		put(name, bad, size);
		names[bit] = strdup(path(name));
	}
	snprintf(line, sizeof(line), "vrf %s %s", command, audit_options("past", "entry1"));
	c = start_with_many(line, names, n);
	assert_status(&c, 1);
	snprintf(summary, sizeof(summary), "\n%zu records: 0 proved, 0 not proved, %zu refused\n",
		n, n);
	assert_says(c.out, summary);
	for (size_t bit = 0; bit < n; bit++) {
		unlink(names[bit]);
		free(names[bit]);
	}
	free(names);
}

static void one_changed_bit_anywhere_in_an_epoch_record_is_refused(void **state)
{
	uint8_t data[EPOCH_RECORD_SIZE];

	(void)state;
	make_epoch(&plain, data);
	all_bits("verify-epoch", data, sizeof(data));
}

static void one_changed_bit_anywhere_in_a_neighbour_record_is_refused(void **state)
{
	uint8_t data[NEIGHBOUR_RECORD_SIZE], beta[64];

	(void)state;
	make_neighbours(&links, 2, data, beta);
	all_bits("verify-neighbours", data, sizeof(data));
}

/* A byte changed and the record signed again by its node. */
struct lie {
	unsigned offset;
	uint8_t value;
	const char *words;
};

static void expect_lies(const char *command, const uint8_t *data, size_t size, const char *label,
	const struct lie *lie, size_t n)
{
	for (; n > 0; n--, lie++) {
		uint8_t bad[RECORD_MAX_SIZE];

		memcpy(bad, data, size);
		bad[lie->offset] = lie->value;
		sign_again(bad, size, label, "entry1");
		put("lie", bad, size);
		expect(command, audit_options("past", "entry1"), "lie", 1, lie->words);
	}
}

static void a_signed_lie_about_an_epoch_is_refused_with_its_reason(void **state)
{
	static const struct lie lies[] = {
		{0, 'b', "epoch record: other first bytes"},
		{4, 2, "version other than 1"},
		{5, 4, "the proof of epoch 173586240 is wrong"},
		{6, 4, "beacon source outside 1 to 3"},
		{7, 0, "a proof, and yet \"not proved\""},
		{8, 'A',
			"another network than expected; expected is what the directory says of "
			"entry1"},
		{79, 8, "the proof of epoch 173586240 is wrong"},
		{92, 1, "another VRF key than expected"},
		{124, 1, "the proof of epoch 173586240 is wrong"},
		{156, 1, "the proof of epoch 173586240 is wrong"},
		{188, 1, "the proof of epoch 173586240 is wrong"},
		{204, 1, "the proof of epoch 173586240 is wrong"},
		{243, 1, "longest delay other than 20 means"},
		{252, 65, "count above 64"},
		/* nothing of these is in the proof; the directory and the calendar refuse them */
		{91, 1,
			"epoch 173586240 began at 1975-07-03T02:24:00Z, and the directory was "
			"valid"},
		{91, 60, "name the directory of that time"},
	};
	uint8_t data[EPOCH_RECORD_SIZE];

	(void)state;
	make_epoch(&plain, data);
	expect_lies("verify-epoch", data, sizeof(data), epoch_label, lies, COUNT(lies));
}

static void a_proof_over_a_made_up_beacon_is_refused(void **state)
{
	static const enum beacon_source claims[] = {BEACON_DIRECTORY, BEACON_FALLBACK};
	struct lab_record r = plain;

	(void)state;
	r.source = BEACON_FILE;
	for (size_t i = 0; i < COUNT(claims); i++) {
		uint8_t data[EPOCH_RECORD_SIZE];

		make_epoch(&r, data);
		data[6] = (uint8_t)claims[i];
		sign_again(data, sizeof(data), epoch_label, "entry1");
		put("madeup", data, sizeof(data));
		expect_epoch("madeup", 1, "its beacon is not the one that this directory gives");
	}
}

/* With a period of its choice a relay would look for one that proves what it did. */
static void an_epoch_proved_under_another_key_period_is_refused(void **state)
{
	struct lab_record r = plain;

	(void)state;
	r.period = 1;
	put_epoch("period", &r);
	expect_epoch("period", 1, "/period: key period 1; only 0 is allowed");
}

static void records_of_others_are_refused(void **state)
{
	(void)state;
	put_epoch("good", &plain);
	expect("verify-epoch", audit_options("past", "entry2"), "good", 1,
		"another node than expected; expected is what the directory says of entry2");
	expect("verify-epoch", audit_options("rekeyed", "entry1"), "good", 1,
		"another VRF key than expected");
	expect("verify-epoch", audit_options("elsewhere", "entry1"), "good", 1,
		"another network than expected");
	expect("verify-epoch", audit_options("later", "entry1"), "good", 1,
		"valid from 2025-02-01T00:00:00Z until 2099-01-01T00:00:00Z; name the directory");
	put_neighbours("links", &links, 2);
	expect_epoch("links", 1, "epoch record: 332 bytes; it has 320");
	expect("verify-neighbours", audit_options("past", "entry1"), "good", 1,
		"neighbour record: 320 bytes; it has 332");
}

/* rekeyed and past differ in nothing that concerns entry2 but their hash. */
static void a_record_of_another_directory_of_the_same_days_is_refused(void **state)
{
	struct lab_record r = plain;

	(void)state;
	r.node = "entry2";
	put_epoch("good2", &r);
	expect("verify-epoch", audit_options("past", "entry2"), "good2", 0, ": proved");
	expect("verify-epoch", audit_options("rekeyed", "entry2"), "good2", 1,
		"its beacon is not the one that this directory gives; if another directory was in "
		"force");
}

static void the_epoch_of_the_files_name_must_be_inside(void **state)
{
	(void)state;
	put_epoch("173586240.epoch", &plain);
	expect_epoch("173586240.epoch", 0, ": proved");
	put_epoch("173586241.epoch", &plain);
	expect_epoch("173586241.epoch", 1, "173586241.epoch: holds epoch 173586240, and not");
	put_epoch("173586240x.epoch", &plain);
	expect_epoch("173586240x.epoch", 0, ": proved");
	put_neighbours("482185.neighbours", &links, 2);
	expect("verify-neighbours", audit_options("past", "entry1"), "482185.neighbours", 1,
		"holds epoch 482184");
}

static void what_was_published_too_early_is_refused(void **state)
{
	struct lab_record r = plain;

	(void)state;
	load("later");
	r.epoch = (uint64_t)time(NULL) / LAB_SECONDS - 1;
	put_epoch("late", &r);
	r.epoch += 6 * 60; /* an hour ahead */
	put_epoch("early", &r);
	r.epoch = UINT64_MAX / 2;
	put_epoch("never", &r);
	load("past");
	expect("verify-epoch", audit_options("later", "entry1"), "early", 1,
		"the relay published their delays too early, or the clock is wrong");
	expect("verify-epoch", audit_options("later", "entry1"), "never", 1, "began at ?");
	pause_ms(1500); /* the longest delay */
	expect("verify-epoch", audit_options("later", "entry1"), "late", 0, ": proved");
}

static void one_bad_record_does_not_hide_the_others(void **state)
{
	struct lab_record r = plain;
	struct child c;

	(void)state;
	put_epoch("good", &plain);
	r.epoch++;
	put_epoch("next", &r);
	r.unproved = true;
	put_epoch("unproved", &r);
	put("short", "BNEA", 4);
	c = start("one", NULL, "vrf verify-epoch %s %s %s %s %s %s",
		audit_options("past", "entry1"), path("good"), path("short"), path("none"),
		path("unproved"), path("next"));
	assert_status(&c, 1);
	assert_says(c.out, "/good: proved\n");
	assert_says(c.out, "/next: proved\n");
	assert_says(c.out, "\n5 records: 2 proved, 1 not proved, 2 refused\n");
	assert_says(c.err, "/short: epoch record: 4 bytes; it has 320");
	assert_says(c.err, "/none: cannot be opened");
	assert_says(c.err, "/unproved: epoch record: the relay says");
}

/* ---- verify-neighbours */

/* The lines that the program should print, from the library and candidates in another order. */
static char *selection(const uint8_t beta[ECVRF_OUTPUT_SIZE], unsigned layer, uint64_t epoch)
{
	struct neighbour_candidate c[LAB_NODES];
	const struct directory_node *node[LAB_NODES];
	unsigned chosen[NEIGHBOUR_MAX], count, n = 0;
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct error err;

	for (unsigned i = directory->count; i-- > 0;) {
		const struct directory_node *d = &directory->nodes[i];

		if (d->layer != layer)
			continue;
		c[n] = (struct neighbour_candidate){.weight = d->weight,
			.address = {d->address[0], d->address[1]},
			.addresses = d->addresses,
			.family = d->family};
		memcpy(c[n].id, d->identity_key, 32);
		node[n++] = d;
	}
	assert_int_equal(neighbour_select(c, n, beta, epoch, chosen, &count, &err), 0);
	fprintf(f, "\nneighbours   %u of the %u nodes in layer %u, in the order of selection\n",
		count, n, layer);
	for (unsigned i = 0; i < count; i++) {
		const struct directory_node *d = node[chosen[i]];
		char a[2][ENDPOINT_STRLEN];

		fprintf(f, "%4u %-16s %10u %-12s %s %s\n", i + 1, d->name, d->weight, d->family,
			endpoint_format(a[0], &d->address[0]),
			endpoint_format(a[1], &d->address[1]));
	}
	fprintf(f, "\n1 record: 1 proved, 0 not proved, 0 refused\n");
	fclose(f);
	return text;
}

static void the_selection_is_drawn_again(void **state)
{
	static const char *const nodes[] = {"entry1", "entry2", "wide5", "exit1"};
	static const char *const counts[] = {
		"", "2 of the 2 nodes", "17 of the 70 nodes", "1 of the 1 nodes"};
	static const unsigned layers[] = {2, 2, 3, 1};

	(void)state;
	for (size_t i = 0; i < COUNT(nodes); i++) {
		uint8_t data[NEIGHBOUR_RECORD_SIZE], beta[64];
		struct lab_record r = links;
		char *want;

		r.node = nodes[i];
		make_neighbours(&r, (uint8_t)layers[i], data, beta);
		put("links", data, sizeof(data));
		want = selection(beta, layers[i], LAB_NB_EPOCH);
		assert_non_null(strstr(want, counts[layers[i]]));
		expect("verify-neighbours", audit_options("past", nodes[i]), "links", 0, want);
		free(want);
	}
}

static void a_neighbour_record_is_shown_like_an_epochs(void **state)
{
	static const char *const lines[] = {": proved\n", "epoch        482184\n",
		"time         2025-01-03T00:00:00Z to 2025-01-03T01:00:00Z (3600 s)\n",
		"made from    the directory; recomputed, the same\n"};

	(void)state;
	put_neighbours("482184.neighbours", &links, 2);
	for (size_t i = 0; i < COUNT(lines); i++)
		expect("verify-neighbours", audit_options("past", "entry1"), "482184.neighbours", 0,
			lines[i]);
}

static void a_signed_lie_about_neighbours_is_refused_with_its_reason(void **state)
{
	static const struct lie lies[] = {
		{3, 'A', "neighbour record: other first bytes"},
		{7, 3, "neighbour record: for layer 3, not 2"},
		{7, 6, "byte 7 is 6; 1 to 5 is allowed"},
		{87, 0x89, "the proof of epoch 482185 is wrong"},
		{92, 1, "another VRF key than expected"},
		{156, 1, "neighbour record: made for another directory"},
		{188, 1, "the proof of epoch 482184 is wrong"},
		{91, 0x0f, "epochs of 3599 s; those of the network have 3600"},
		{5, 4, "the proof of epoch 482184 is wrong"},
	};
	uint8_t data[NEIGHBOUR_RECORD_SIZE], beta[64];

	(void)state;
	make_neighbours(&links, 2, data, beta);
	expect_lies("verify-neighbours", data, sizeof(data), neighbour_label, lies, COUNT(lies));
}

/* A proof that holds, over something that was the relay's to choose. */
static void nothing_in_a_neighbour_record_is_the_relays_choice(void **state)
{
	struct lab_record r = links;
	char options[600];

	(void)state;
	r.suite = ECVRF_ELL2;
	put_neighbours("choice", &r, 2);
	expect("verify-neighbours", audit_options("past", "entry1"), "choice", 1,
		"suite 4; only 3 is allowed");
	r = links;
	r.period = 5;
	put_neighbours("choice", &r, 2);
	expect("verify-neighbours", audit_options("past", "entry1"), "choice", 1,
		"key period 5; only 0 is allowed");
	r = links;
	r.seconds = 1800;
	r.epoch = 2 * LAB_NB_EPOCH;
	put_neighbours("choice", &r, 2);
	expect("verify-neighbours", audit_options("past", "entry1"), "choice", 1,
		"epochs of 1800 s; those of the network have 3600");
	snprintf(options, sizeof(options), "%s --epoch-seconds 1800",
		audit_options("past", "entry1"));
	expect("verify-neighbours", options, "choice", 0, "to 2025-01-03T00:30:00Z (1800 s)\n");
}

static void neighbours_of_another_node_or_directory_are_refused(void **state)
{
	struct lab_record r = links;

	(void)state;
	put_neighbours("links", &links, 2);
	expect("verify-neighbours", audit_options("past", "entry2"), "links", 1,
		"another node than expected");
	expect("verify-neighbours", audit_options("elsewhere", "entry1"), "links", 1,
		"another network than expected");
	r.node = "entry2";
	put_neighbours("links2", &r, 2);
	expect("verify-neighbours", audit_options("rekeyed", "entry2"), "links2", 1,
		"made for another directory");
	expect("verify-neighbours", audit_options("past", "exit1"), "links", 1,
		"another node than expected");
}

/* ---- usage */

static void wrong_usage_is_explained(void **state)
{
	static const struct {
		const char *line, *words;
	} cases[] = {
		{"vrf", "there is no command \"vrf\""},
		{"vrf verify", "there is no command \"vrf verify\""},
		{"vrf verify-epoch r", "--directory FILE is missing"},
		{"vrf verify-epoch --directory d r", "--authority HEX|FILE is missing"},
		{"vrf verify-neighbours --directory d --authority a r", "--node NAME is missing"},
		{"vrf verify-epoch --directory d --authority a --node n", "RECORD... is missing"},
		{"vrf verify-neighbours --directory d --authority a --node n",
			"RECORD... is missing"},
		{"vrf verify-neighbours --directory d --authority a --node n --epoch-seconds 59 r",
			"allowed is a number, 60..86400"},
		{"vrf delay --directory d --authority a --node n", "--record RECORD is missing"},
		{"vrf delay --directory d --authority a --node n --record r",
			"one of --shared-secret FILE and --initial-secret FILE"},
		{"vrf delay --directory d --authority a --node n --record r --shared-secret s "
		 "--initial-secret i",
			"one of --shared-secret FILE and --initial-secret FILE"},
		{"vrf delay --directory d --authority a --node n --record r --initial-secret i",
			"--initial-secret and --route go together"},
		{"vrf delay --directory d --authority a --node n --record r --shared-secret s "
		 "--route n",
			"--initial-secret and --route go together"},
		{"vrf delay --directory d --authority a --node n --record r --shared-secret s x",
			"\"x\" is one word too many"},
		{"vrf delay --secret 00", "there is no option --secret"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct child c = start("use", NULL, "%s", cases[i].line);

		assert_status(&c, 2);
		assert_says(c.err, cases[i].words);
	}
}

static void what_cannot_be_read_is_named(void **state)
{
	char options[700];

	(void)state;
	put_epoch("good", &plain);
	expect_epoch("none", 1, "/none: cannot be opened");
	expect("verify-epoch", audit_options("past", "mix9"), "good", 1, "has no node \"mix9\"");
	expect("verify-epoch", audit_options("past", "a/b"), "good", 1, "allowed is a name");
	expect("verify-epoch", audit_options("nodir", "entry1"), "good", 1,
		"/nodir: cannot be opened");
	snprintf(options, sizeof(options), "--directory %s --authority %064d --node entry1",
		path("past"), 7);
	expect("verify-epoch", options, "good", 1, "the signature does not hold");
	snprintf(options, sizeof(options), "%s --beacon-file %s", audit_options("past", "entry1"),
		path("nobeacons"));
	expect("verify-epoch", options, "good", 1, "/nobeacons: cannot be opened");
	make_file(path("large"), 100000);
	expect_epoch("large", 1, "/large: ");
}

static void help_tells_what_an_auditor_must_know(void **state)
{
	static const char *const commands[] = {"verify-epoch", "verify-neighbours", "delay"};
	static const char *const words[] = {"--directory FILE", "--authority HEX|FILE",
		"--node NAME", "--beacon-file FILE", "expired or not", "NOT checked"};
	struct child c;

	(void)state;
	for (size_t i = 0; i < COUNT(commands); i++) {
		c = start("help", NULL, "vrf %s --help", commands[i]);
		assert_status(&c, 0);
		for (size_t k = 0; k < COUNT(words); k++)
			assert_says(c.out, words[k]);
		c = start("help", NULL, "--help");
		assert_status(&c, 0);
		assert_says(c.out, commands[i]);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_epoch_record_is_shown_line_by_line),
		cmocka_unit_test(the_other_suite_is_shown),
		cmocka_unit_test(a_beacon_for_want_of_a_file_is_recomputed),
		cmocka_unit_test(a_file_beacon_is_compared_only_with_a_file),
		cmocka_unit_test(an_epoch_that_was_not_proved_is_shown_and_fails),
		cmocka_unit_test(one_changed_bit_anywhere_in_an_epoch_record_is_refused),
		cmocka_unit_test(one_changed_bit_anywhere_in_a_neighbour_record_is_refused),
		cmocka_unit_test(a_signed_lie_about_an_epoch_is_refused_with_its_reason),
		cmocka_unit_test(a_proof_over_a_made_up_beacon_is_refused),
		cmocka_unit_test(an_epoch_proved_under_another_key_period_is_refused),
		cmocka_unit_test(records_of_others_are_refused),
		cmocka_unit_test(a_record_of_another_directory_of_the_same_days_is_refused),
		cmocka_unit_test(the_epoch_of_the_files_name_must_be_inside),
		cmocka_unit_test(what_was_published_too_early_is_refused),
		cmocka_unit_test(one_bad_record_does_not_hide_the_others),
		cmocka_unit_test(the_selection_is_drawn_again),
		cmocka_unit_test(a_neighbour_record_is_shown_like_an_epochs),
		cmocka_unit_test(a_signed_lie_about_neighbours_is_refused_with_its_reason),
		cmocka_unit_test(nothing_in_a_neighbour_record_is_the_relays_choice),
		cmocka_unit_test(neighbours_of_another_node_or_directory_are_refused),
		cmocka_unit_test(wrong_usage_is_explained),
		cmocka_unit_test(what_cannot_be_read_is_named),
		cmocka_unit_test(help_tells_what_an_auditor_must_know),
	};

	(void)argc;
	return run_lab(tests, COUNT(tests), argv[0]);
}
