/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include "../../app/client/route.h"
#include "setnet.h"

enum { EPOCH = 494000, MID = EPOCH * 3600 + 1800 };

static struct neighbours *open_sets(const struct setnet *n, unsigned layers, const char *beacon)
{
	const struct neighbours_params p = {.directory = n->d,
		.folder = n->folder,
		.beacon = beacon,
		.seconds = SETNET_SECONDS,
		.layers = layers};
	struct neighbours *sets;
	struct error err = {0};

	if (neighbours_create(&p, &sets, &err) < 0)
		fail_msg("%s", err.msg);
	return sets;
}

static void refresh(struct neighbours *sets, uint64_t now)
{
	struct error err = {0};

	if (neighbours_refresh(sets, now, &err) < 0)
		fail_msg("%s", err.msg);
}

static struct route_params params(const struct setnet *n, const struct neighbours *sets)
{
	return (struct route_params){.directory = n->d,
		.neighbours = sets,
		.hops = 3,
		.mean_delay_ms = 1,
		.version = SPHINX_V259,
		.payload_size = 1024};
}

static unsigned index_of(const struct setnet *n, const struct directory_node *node)
{
	return (unsigned)(node - n->d->nodes);
}

static const struct endpoint receiver = {.family = 4, .port = 4242, .ip = {198, 51, 100, 7}};

/* How many hops of `draws` routes are outside the set of the hop before. */
static unsigned strays(const struct setnet *n, const struct neighbours *routed_by,
	const struct neighbours *sets, unsigned draws)
{
	const struct route_params p = params(n, routed_by);
	unsigned outside = 0;

	for (unsigned i = 0; i < draws; i++) {
		struct error err = {0};
		struct route r;

		if (route_draw(&p, &receiver, 0, &r, &err) < 0)
			fail_msg("%s", err.msg);
		for (unsigned h = 0; h < 3; h++) {
			assert_int_equal(r.node[h]->layer, h + 1);
			outside += h > 0 && !neighbour_set_contains(
						    neighbours_of(sets, index_of(n, r.node[h - 1])),
						    index_of(n, r.node[h]));
		}
	}
	return outside;
}

/* ---- routes */

/* The sets are those that the nodes made, not only those that the client believes in. */
static void every_hop_is_in_the_set_of_the_hop_before(void **state)
{
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {4, 80, 90}});
	struct neighbours *sets = open_sets(n, 3, NULL);
	uint8_t record[NEIGHBOUR_RECORD_SIZE];
	struct neighbour_set own;

	(void)state;
	setnet_publish_all(n, EPOCH);
	refresh(sets, MID);
	assert_int_equal(neighbours_missing(sets, NULL), 0);
	for (unsigned i = 0; i < n->count; i += 7) {
		setnet_record(n, i, EPOCH, record, &own);
		assert_memory_equal(neighbours_of(sets, i), &own, sizeof(own));
	}
	assert_int_equal(strays(n, sets, sets, 2000), 0);
	/* routes that know no sets leave them: the line above can fail */
	assert_true(strays(n, NULL, sets, 2000) > 1000);
	neighbours_free(sets);
	setnet_free(n);
}

static uint32_t uneven(unsigned node)
{
	return 50 * (1 + node % 5);
}

static double chi_square(const unsigned *hits, const unsigned *node, unsigned count,
	const struct setnet *n, unsigned draws)
{
	double total = 0, chi = 0;

	for (unsigned i = 0; i < count; i++)
		total += n->d->nodes[node[i]].weight;
	for (unsigned i = 0; i < count; i++) {
		double expected = draws * n->d->nodes[node[i]].weight / total;

		chi += pow(hits[node[i]] - expected, 2) / expected;
	}
	return chi;
}

/* By weight in layer 1, by weight among the 18 of 80 of the set of the relay before. The limits are
 * the chi-square's at a chance of 10^-6: 33.4 for 4 degrees of freedom, 61.7 for 17. */
static void hops_are_drawn_by_weight_inside_the_sets(void **state)
{
	struct setnet *n =
		setnet_make(&(struct setnet_shape){.width = {5, 80, 2}, .weight = uneven});
	struct neighbours *sets = open_sets(n, 3, NULL);
	static unsigned first[SETNET_MAX], after4[SETNET_MAX];
	const unsigned entry[5] = {0, 1, 2, 3, 4};
	const struct neighbour_set *of4;
	const struct directory_node *route[3];
	unsigned draws = 30000, through4 = 0;

	(void)state;
	setnet_publish_all(n, EPOCH);
	refresh(sets, MID);
	for (unsigned i = 0; i < draws; i++) {
		assert_int_equal(neighbours_draw_route(sets, 3, 0, 4, route, NULL), 0);
		first[index_of(n, route[0])]++;
		if (index_of(n, route[0]) == 4) {
			after4[index_of(n, route[1])]++;
			through4++;
		}
	}
	assert_true(chi_square(first, entry, 5, n, draws) < 33.4);
	of4 = neighbours_of(sets, 4);
	assert_int_equal(of4->count, 18);
	assert_true(chi_square(after4, of4->member, of4->count, n, through4) < 61.7);
	neighbours_free(sets);
	setnet_free(n);
}

/* ---- records that do not count */

static void flip(uint8_t *record, unsigned byte)
{
	record[byte] ^= 1;
}

/* What the folder holds for node 4 + k of layer 2, and a word of the reason. */
static const char *spoil(const struct setnet *n, unsigned k)
{
	static const uint8_t other[32] = {3};
	static const struct beacon file = {.value = {5}, .source = BEACON_FILE};
	static const struct beacon invented = {.value = {5}, .source = BEACON_DIRECTORY};
	const unsigned node = 4 + k;
	struct setnet_lie lie = setnet_truth(n, node, EPOCH);
	uint8_t record[RECORD_MAX_SIZE + 8] = {0};
	struct neighbour_set set;
	size_t len = NEIGHBOUR_RECORD_SIZE;
	const char *word = "";

	setnet_record(n, node, EPOCH, record, &set);
	switch (k) {
	case 0:
		return "no record of epoch 494000";
	case 1:
		len = NEIGHBOUR_RECORD_SIZE - 1;
		word = "331 bytes";
		break;
	case 2:
		flip(record, 300);
		word = "signature";
		break;
	case 3:
		flip(record, 188);
		word = "signature";
		break;
	case 4:
		setnet_record(n, 5, EPOCH, record, &set);
		word = "another node";
		break;
	case 5:
		setnet_record(n, node, EPOCH + 1, record, &set);
		word = "another epoch";
		break;
	case 6:
		lie.directory_hash = other;
		word = "another directory";
		break;
	case 7:
		lie.layer = 2;
		word = "layer 2, not 3";
		break;
	case 8:
		lie.suite = ECVRF_ELL2;
		word = "suite";
		break;
	case 9:
		lie.key_period = 1;
		word = "key period";
		break;
	case 10:
		lie.seconds = 60;
		word = "epochs of 60 s";
		break;
	case 11:
		lie.beacon = &file;
		word = "from a file";
		break;
	case 12:
		lie.beacon = &invented;
		word = "another beacon";
		break;
	case 13:
		lie.network_id = other;
		word = "another network";
		break;
	}
	if (k >= 6)
		setnet_lying_record(n, node, &lie, record);
	setnet_write(n, node, EPOCH, record, len);
	return word;
}

static void relays_with_a_bad_record_of_any_kind_sit_out(void **state)
{
	enum { KINDS = 14, GOOD = 2 };
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {4, KINDS + GOOD, 2}});
	struct neighbours *sets = open_sets(n, 3, NULL);
	const struct directory_node *route[3];
	const char *word[KINDS];
	unsigned of;

	(void)state;
	for (unsigned i = 0; i < n->count; i++)
		if (i < 4 || i >= 4 + KINDS)
			setnet_publish(n, i, EPOCH);
	for (unsigned k = 0; k < KINDS; k++)
		word[k] = spoil(n, k);
	refresh(sets, MID);
	for (unsigned k = 0; k < KINDS; k++) {
		assert_null(neighbours_of(sets, 4 + k));
		if (!word[k][0] || !strstr(neighbours_reason(sets, 4 + k), word[k]))
			fail_msg("%u: %s", k, neighbours_reason(sets, 4 + k));
	}
	assert_string_equal(neighbours_reason(sets, 0), "");
	assert_int_equal(neighbours_missing(sets, &of), KINDS);
	assert_int_equal(of, n->count);
	for (unsigned i = 0; i < 500; i++) {
		assert_int_equal(neighbours_draw_route(sets, 3, 0, 4, route, NULL), 0);
		assert_true(index_of(n, route[1]) >= 4 + KINDS);
	}
	neighbours_free(sets);
	setnet_free(n);
}

static void a_relay_without_a_record_is_no_last_hop_either(void **state)
{
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {1, 1, 3}});
	struct neighbours *sets = open_sets(n, 3, NULL);
	const struct directory_node *route[3];

	(void)state;
	setnet_publish(n, 0, EPOCH);
	setnet_publish(n, 1, EPOCH);
	setnet_publish(n, 3, EPOCH);
	refresh(sets, MID);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(neighbours_draw_route(sets, 3, 0, 4, route, NULL), 0);
		assert_int_equal(index_of(n, route[2]), 3);
	}
	neighbours_free(sets);
	setnet_free(n);
}

static void layers_beyond_the_hops_need_no_records(void **state)
{
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {2, 2, 2}});
	struct neighbours *sets = open_sets(n, 2, NULL);
	const struct directory_node *route[3];
	unsigned of;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		setnet_publish(n, i, EPOCH);
	refresh(sets, MID);
	assert_int_equal(neighbours_missing(sets, &of), 0);
	assert_int_equal(of, 4);
	assert_int_equal(neighbours_draw_route(sets, 2, 0, 4, route, NULL), 0);
	assert_int_equal(neighbours_draw_route(sets, 3, 0, 4, route, NULL), -EINVAL);
	neighbours_free(sets);
	setnet_free(n);
}

static void the_message_names_what_is_missing(void **state)
{
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {2, 2, 2}});
	struct neighbours *sets = open_sets(n, 3, NULL);
	struct route_params p = params(n, sets);
	struct error err = {0};
	struct route r;

	(void)state;
	for (unsigned i = 0; i < n->count; i++)
		if (i != 2 && i != 3)
			setnet_publish(n, i, EPOCH);
	refresh(sets, MID);
	assert_int_equal(route_draw(&p, &receiver, 0, &r, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "none of the 2 relays of layer 2"));
	assert_non_null(strstr(err.msg, "n3: no record of epoch 494000"));
	setnet_publish(n, 2, EPOCH);
	refresh(sets, MID + NEIGHBOURS_RETRY);
	assert_int_equal(route_draw(&p, &receiver, 0, &r, &err), 0);
	assert_int_equal(route_draw(&p, &receiver, 6, &r, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "from IPv6 to IPv4"));
	assert_non_null(strstr(err.msg, "1 relays sit out"));
	neighbours_free(sets);
	setnet_free(n);
}

/* ---- reports */

static unsigned lines_of(struct neighbours *sets, char *text, size_t room)
{
	FILE *f = tmpfile();
	unsigned lines = 0;
	size_t len;

	assert_non_null(f);
	neighbours_report(sets, f);
	rewind(f);
	len = fread(text, 1, room - 1, f);
	text[len] = '\0';
	fclose(f);
	for (char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	return lines;
}

static void who_sits_out_is_said_once(void **state)
{
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {2, 10, 2}});
	struct neighbours *sets = open_sets(n, 3, NULL);
	char text[4096];

	(void)state;
	for (unsigned i = 0; i < n->count; i++)
		if (i < 2 || i > 8)
			setnet_publish(n, i, EPOCH);
	assert_int_equal(lines_of(sets, text, sizeof(text)), 0); /* nothing was read yet */
	refresh(sets, MID);
	assert_int_equal(lines_of(sets, text, sizeof(text)), 5 + 1);
	assert_non_null(strstr(text, "n2 sits out: no record of epoch 494000"));
	assert_non_null(strstr(text, "7 of 14 relays have no valid neighbour record"));
	assert_int_equal(lines_of(sets, text, sizeof(text)), 0);
	refresh(sets, MID + NEIGHBOURS_RETRY);
	assert_int_equal(lines_of(sets, text, sizeof(text)), 0);
	/* the next epoch: who was good and now is missing is news, who still is missing is not */
	for (unsigned i = 0; i < n->count; i++)
		if (i != 0 && (i < 2 || i > 8))
			setnet_publish(n, i, EPOCH + 1);
	refresh(sets, MID + 3600);
	assert_int_equal(lines_of(sets, text, sizeof(text)), 1 + 1);
	assert_non_null(strstr(text, "n0 sits out: no record of epoch 494001"));
	assert_non_null(strstr(text, "8 of 14"));
	neighbours_free(sets);
	setnet_free(n);
}

/* ---- time */

static void assert_epoch_of(const struct neighbours *sets, unsigned node, uint64_t epoch)
{
	const struct neighbour_set *s = neighbours_of(sets, node);

	if ((s ? s->epoch : 0) != epoch)
		fail_msg("epoch %llu instead of %llu", (unsigned long long)(s ? s->epoch : 0),
			(unsigned long long)epoch);
}

static void the_neighbouring_epoch_serves_around_the_boundary_alone(void **state)
{
	const uint64_t boundary = (EPOCH + 1) * UINT64_C(3600);
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {3}});
	struct neighbours *sets = open_sets(n, 1, NULL);

	(void)state;
	/* n0 publishes both, n1 the old one alone, n2 the new one alone, early */
	setnet_publish(n, 0, EPOCH);
	setnet_publish(n, 0, EPOCH + 1);
	setnet_publish(n, 1, EPOCH);
	setnet_publish(n, 2, EPOCH + 1);
	for (unsigned fresh = 0; fresh < 2; fresh++) {
		const struct {
			uint64_t now, epoch[3];
		} cases[] = {
			{boundary - 1800, {EPOCH, EPOCH, 0}},
			{boundary - 61, {EPOCH, EPOCH, 0}},
			{boundary - 60, {EPOCH, EPOCH, EPOCH + 1}},
			{boundary - 1, {EPOCH, EPOCH, EPOCH + 1}},
			{boundary, {EPOCH + 1, EPOCH, EPOCH + 1}},
			{boundary + 59, {EPOCH + 1, EPOCH, EPOCH + 1}},
			{boundary + 60, {EPOCH + 1, 0, EPOCH + 1}},
			{boundary + 3600 - 60, {EPOCH + 1, 0, EPOCH + 1}},
			{boundary + 3600, {EPOCH + 1, 0, EPOCH + 1}},
			{boundary + 3660, {0, 0, 0}},
		};

		/* the same whether the client has run all the while or starts at that time */
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			if (fresh) {
				neighbours_free(sets);
				sets = open_sets(n, 1, NULL);
			}
			refresh(sets, cases[i].now);
			for (unsigned k = 0; k < 3; k++)
				assert_epoch_of(sets, k, cases[i].epoch[k]);
		}
	}
	neighbours_free(sets);
	setnet_free(n);
}

static void a_late_record_is_found(void **state)
{
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {2}});
	struct neighbours *sets = open_sets(n, 1, NULL);

	(void)state;
	setnet_publish(n, 0, EPOCH);
	refresh(sets, MID);
	assert_epoch_of(sets, 1, 0);
	setnet_publish(n, 1, EPOCH);
	refresh(sets, MID + NEIGHBOURS_RETRY - 1);
	assert_epoch_of(sets, 1, 0);
	refresh(sets, MID + NEIGHBOURS_RETRY);
	assert_epoch_of(sets, 1, EPOCH);
	assert_int_equal(neighbours_missing(sets, NULL), 0);
	/* what was verified is not read again: a record that is replaced meanwhile changes nothing
	 */
	setnet_write(n, 1, EPOCH, (const uint8_t *)"junk", 4);
	refresh(sets, MID + 1000);
	assert_epoch_of(sets, 1, EPOCH);
	neighbours_free(sets);
	setnet_free(n);
}

static void the_end_of_an_epoch_matters_in_wide_layers_alone(void **state)
{
	struct setnet *narrow = setnet_make(&(struct setnet_shape){.width = {65, 64, 64}});
	struct setnet *wide = setnet_make(&(struct setnet_shape){.width = {1, 2, 65}});
	struct neighbours *a = open_sets(narrow, 3, NULL), *b = open_sets(wide, 3, NULL);
	struct neighbours *two = open_sets(wide, 2, NULL);

	(void)state;
	refresh(a, MID);
	refresh(b, MID);
	refresh(two, MID);
	assert_true(neighbours_hold_until(a) == UINT64_MAX);
	assert_true(neighbours_hold_until(b) == (EPOCH + 1) * UINT64_C(3600));
	assert_true(neighbours_hold_until(two) == UINT64_MAX);
	neighbours_free(a);
	neighbours_free(b);
	neighbours_free(two);
	setnet_free(narrow);
	setnet_free(wide);
}

/* ---- beacon and folder */

static void write_beacon(const char *path, const char *text)
{
	struct error err = {0};

	if (file_write(path, 0644, text, strlen(text), FILE_FORCE, &err) < 0)
		fail_msg("%s", err.msg);
}

static void a_file_beacon_counts_when_it_is_ours(void **state)
{
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {2}});
	struct beacon b = {.value = {0xab, 0xcd}, .source = BEACON_FILE, .round = 7, .time = 1};
	uint8_t record[NEIGHBOUR_RECORD_SIZE];
	struct setnet_lie with = setnet_truth(n, 0, EPOCH);
	char path[96], text[128];
	struct neighbours *sets;
	struct error err = {0};

	(void)state;
	snprintf(path, sizeof(path), "%s/beacon", n->folder);
	with.beacon = &b;
	setnet_lying_record(n, 0, &with, record);
	setnet_write(n, 0, EPOCH, record, sizeof(record));
	setnet_publish(n, 1, EPOCH);
	snprintf(text, sizeof(text), "7 1 abcd%060d\n", 0);
	write_beacon(path, text);
	sets = open_sets(n, 1, path);
	refresh(sets, MID);
	assert_epoch_of(sets, 0, EPOCH);
	assert_epoch_of(sets, 1, EPOCH); /* by the directory's beacon */
	neighbours_free(sets);
	snprintf(text, sizeof(text), "7 1 abce%060d\n", 0);
	write_beacon(path, text);
	sets = open_sets(n, 1, path);
	refresh(sets, MID);
	assert_epoch_of(sets, 0, 0);
	neighbours_free(sets);
	write_beacon(path, "tomorrow\n");
	sets = open_sets(n, 1, path);
	assert_int_equal(neighbours_refresh(sets, MID, &err), -EINVAL);
	assert_non_null(strstr(err.msg, path));
	assert_epoch_of(sets, 1, 0);
	neighbours_free(sets);
	setnet_free(n);
}

static void a_folder_that_is_none_is_an_error(void **state)
{
	struct setnet *n = setnet_make(&(struct setnet_shape){.width = {2}});
	struct neighbours_params p = {
		.directory = n->d, .folder = "/nonexistent/x", .seconds = 3600, .layers = 1};
	struct neighbours *sets;
	struct error err = {0};

	(void)state;
	assert_int_equal(neighbours_create(&p, &sets, &err), 0);
	assert_int_equal(neighbours_refresh(sets, MID, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "--neighbours /nonexistent/x"));
	neighbours_free(sets);
	p.folder = "/dev/null";
	assert_int_equal(neighbours_create(&p, &sets, &err), 0);
	assert_int_equal(neighbours_refresh(sets, MID, &err), -ENOTDIR);
	neighbours_free(sets);
	p.seconds = 59;
	assert_int_equal(neighbours_create(&p, &sets, &err), -EINVAL);
	p.seconds = 3600;
	p.layers = 2;
	assert_int_equal(neighbours_create(&p, &sets, &err), -EINVAL);
	assert_null(sets);
	setnet_free(n);
}

/* ---- dead ends */

static const char *by_table(unsigned node, char *room)
{
	static const char *const at[] = {"\"10.0.0.1:1\"", "\"10.0.1.1:1\"",
		"\"[2001:db8:1::1]:1\"", "\"10.0.3.1:1\", \"[2001:db8:3::1]:1\"", "\"10.0.4.1:1\"",
		"\"[2001:db8:5::1]:1\"", "\"10.0.6.1:1\""};

	(void)room;
	return at[node];
}

/* Two entries on IPv4; in layer 2 one on IPv6, one on both, one on IPv4; an exit on each. */
static void hops_without_a_way_on_are_left_out(void **state)
{
	struct setnet *n =
		setnet_make(&(struct setnet_shape){.width = {2, 3, 2}, .address = by_table});
	struct neighbours *sets = open_sets(n, 3, NULL);
	struct route_params p = params(n, sets);
	struct endpoint to = {.family = 6, .port = 1, .ip = {0x20, 1, 0xd, 0xb8}};
	unsigned entries[2] = {0};

	(void)state;
	setnet_publish_all(n, EPOCH);
	refresh(sets, MID);
	for (unsigned i = 0; i < 200; i++) {
		struct error err = {0};
		struct route r;

		if (route_draw(&p, &to, 4, &r, &err) < 0)
			fail_msg("%s", err.msg);
		entries[index_of(n, r.node[0])]++;
		assert_int_equal(index_of(n, r.node[1]), 3);
		assert_int_equal(index_of(n, r.node[2]), 5);
		assert_int_equal(r.first.family, 4);
	}
	assert_true(entries[0] > 0 && entries[1] > 0);
	neighbours_free(sets);
	setnet_free(n);
}

static const char *crossed(unsigned node)
{
	static const char *const families[] = {"a", "b", "a", "b", "", "b"};

	return families[node];
}

static const char *all_one(unsigned node)
{
	(void)node;
	return "one";
}

/* Layer 1: a, b; layer 2: a, b, none; layer 3: b. So b may not come first nor second. */
static void families_are_left_to_the_hops_that_need_them(void **state)
{
	struct setnet *n =
		setnet_make(&(struct setnet_shape){.width = {2, 3, 1}, .family = crossed});
	struct neighbours *sets = open_sets(n, 3, NULL);
	const struct directory_node *route[3];
	struct error err = {0};

	(void)state;
	setnet_publish_all(n, EPOCH);
	refresh(sets, MID);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(neighbours_draw_route(sets, 3, 0, 4, route, &err), 0);
		assert_int_equal(index_of(n, route[0]), 0);
		assert_int_equal(index_of(n, route[1]), 4);
	}
	neighbours_free(sets);
	setnet_free(n);
	n = setnet_make(&(struct setnet_shape){.width = {20, 20, 20}, .family = all_one});
	sets = open_sets(n, 3, NULL);
	setnet_publish_all(n, EPOCH);
	refresh(sets, MID);
	assert_int_equal(neighbours_draw_route(sets, 3, 0, 4, route, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "one family"));
	neighbours_free(sets);
	setnet_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_hop_is_in_the_set_of_the_hop_before),
		cmocka_unit_test(hops_are_drawn_by_weight_inside_the_sets),
		cmocka_unit_test(relays_with_a_bad_record_of_any_kind_sit_out),
		cmocka_unit_test(a_relay_without_a_record_is_no_last_hop_either),
		cmocka_unit_test(layers_beyond_the_hops_need_no_records),
		cmocka_unit_test(the_message_names_what_is_missing),
		cmocka_unit_test(who_sits_out_is_said_once),
		cmocka_unit_test(the_neighbouring_epoch_serves_around_the_boundary_alone),
		cmocka_unit_test(a_late_record_is_found),
		cmocka_unit_test(the_end_of_an_epoch_matters_in_wide_layers_alone),
		cmocka_unit_test(a_file_beacon_counts_when_it_is_ours),
		cmocka_unit_test(a_folder_that_is_none_is_an_error),
		cmocka_unit_test(hops_without_a_way_on_are_left_out),
		cmocka_unit_test(families_are_left_to_the_hops_that_need_them),
	};
	struct error err = {0};

	if (crypto_init(0, &err) < 0 || ecvrf_self_test(&err) < 0) {
		print_error("%s\n", err.msg);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
