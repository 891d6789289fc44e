/* SPDX-License-Identifier: BSD-3-Clause */
#include "audit.h"
#include "core/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BEACONS_MAX_BYTES = 8 << 20, BEACON_LINE_MAX = 160 };

#define SECOND UINT64_C(1000000000)

/* ---- opening */

static int add_beacons(struct audit *a, const char *path, const char *text, struct error *err)
{
	struct error why;

	for (unsigned n = 1; *text; n++) {
		size_t len = strcspn(text, "\n");
		char line[BEACON_LINE_MAX];

		len += text[len] == '\n';
		snprintf(line, sizeof(line), "%.*s", (int)(len < sizeof(line) ? len : 0), text);
		if (beacon_parse(&a->beacons[n - 1], line, &why) < 0)
			return error_set(err, EINVAL, "%s:%u: %s", path, n, why.msg);
		a->beacon_count = n;
		text += len;
	}
	return 0;
}

static int load_beacons(struct audit *a, struct error *err)
{
	const char *path = keytool_value(a->args, "beacon-file");
	size_t len, lines = 1;
	uint8_t *text;
	int r;

	if (!path)
		return 0;
	r = file_read(path, BEACONS_MAX_BYTES, &text, &len, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	a->beacons = calloc(lines, sizeof(*a->beacons));
	if (!a->beacons)
		r = error_set(err, ENOMEM, "%s: not enough memory for its beacons", path);
	else if (strlen((char *)text) != len)
		r = error_set(err, EINVAL, "%s: holds a NUL; it is a text of beacons", path);
	else
		r = add_beacons(a, path, (char *)text, err);
	free(text);
	return r;
}

static int find_node(struct audit *a, struct error *err)
{
	char name[DIRECTORY_NAME_MAX];
	int r = keytool_set_name(name, keytool_value(a->args, "node"), err);

	if (r < 0)
		return r;
	a->node = directory_find_name(a->directory, name);
	return a->node ? 0
		       : error_set(err, ENOENT, "%s: has no node \"%s\"",
				 keytool_value(a->args, "directory"), name);
}

int audit_open(struct audit *a, const struct keytool_args *args, struct error *err)
{
	uint8_t pk[32];
	int r;

	*a = (struct audit){.args = args};
	r = ecvrf_self_test(err);
	if (r == 0)
		r = keytool_read_authority(keytool_value(args, "authority"), pk, err);
	/* 0: its validity is compared with the epochs' time, not with the present */
	if (r == 0)
		r = directory_load(keytool_value(args, "directory"), pk, 0, &a->directory, err);
	if (r == 0)
		r = find_node(a, err);
	return r < 0 ? r : load_beacons(a, err);
}

void audit_close(struct audit *a)
{
	directory_free(a->directory);
	free(a->beacons);
	*a = (struct audit){0};
}

/* ---- checking */

/* Puts the file's name before a message of lib/vrf, and what was compared behind it. */
static int refuse(const struct audit *a, const char *path, int r, struct error *err)
{
	struct error why = *err;

	if (r == -ENOENT)
		return error_set(err, ENOENT, "%s: %s; expected is what the directory says of %s",
			path, why.msg, a->node->name);
	return error_set(err, -r, "%s: %s", path, why.msg);
}

static int check_name(
	const char *path, const char *suffix, const struct record_head *h, struct error *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t digits = strspn(name, "0123456789");
	unsigned long long epoch;

	if (digits == 0 || strcmp(name + digits, suffix) != 0)
		return 0;
	errno = 0;
	epoch = strtoull(name, NULL, 10);
	if (errno == 0 && epoch == h->scope.epoch)
		return 0;
	return error_set(err, ENOENT,
		"%s: holds epoch %" PRIu64 ", and not the one that its name says", path,
		h->scope.epoch);
}

static int check_time(const struct audit *a, const char *path, const struct record_head *h,
	struct audit_finding *f, struct error *err)
{
	const struct directory *d = a->directory;
	char text[3][KEYTOOL_TIME];

	if (__builtin_mul_overflow(h->scope.epoch, (uint64_t)h->epoch_seconds, &f->begin) ||
		__builtin_add_overflow(f->begin, (uint64_t)h->epoch_seconds, &f->end))
		f->begin = f->end = UINT64_MAX;
	if (f->begin < d->valid_until && f->end > d->valid_from)
		return 0;
	return error_set(err, ESTALE,
		"%s: epoch %" PRIu64 " began at %s, and the directory was valid from %s until %s; "
		"name the directory of that time",
		path, h->scope.epoch, keytool_time(text[0], f->begin),
		keytool_time(text[1], d->valid_from), keytool_time(text[2], d->valid_until));
}

/* A beacon from the relay's file: looked for among those given. One that became known after the
 * epoch cannot have been in its proof. */
static int check_file_beacon(const struct audit *a, const char *path, const struct record_head *h,
	struct audit_finding *f, struct error *err)
{
	const struct beacon *late = NULL;
	char text[KEYTOOL_TIME];

	if (!keytool_value(a->args, "beacon-file"))
		return 0;
	for (unsigned i = 0; i < a->beacon_count; i++) {
		const struct beacon *b = &a->beacons[i];
		struct beacon chosen;

		if (memcmp(b->value, h->scope.beacon, sizeof(b->value)) != 0)
			continue;
		beacon_choose(&chosen, 1, b, f->end, UINT64_MAX, a->directory->network_id,
			a->directory->hash);
		if (chosen.source == BEACON_FILE) {
			f->beacon = b;
			return 0;
		}
		late = b;
	}
	if (late)
		return error_set(err, EBADMSG,
			"%s: its beacon, round %" PRIu64
			", became known at %s, after the epoch was over",
			path, late->round, keytool_time(text, late->time));
	return error_set(err, ENOENT, "%s: its beacon is none of the %u in %s", path,
		a->beacon_count, keytool_value(a->args, "beacon-file"));
}

static int check_beacon(const struct audit *a, const char *path, const struct record_head *h,
	struct audit_finding *f, struct error *err)
{
	struct beacon b;

	f->beacon = NULL;
	if (h->beacon_source == BEACON_FILE)
		return check_file_beacon(a, path, h, f, err);
	beacon_choose(&b, h->beacon_source == BEACON_FALLBACK, NULL, 0, 0, a->directory->network_id,
		a->directory->hash);
	if (memcmp(b.value, h->scope.beacon, sizeof(b.value)) == 0)
		return 0;
	return error_set(err, ENOENT,
		"%s: its beacon is not the one that this directory gives; if another directory was "
		"in force in epoch %" PRIu64 ", name that",
		path, h->scope.epoch);
}

/* The directory lists one VRF key for each node, so its period is always 0. A relay that chose one
 * could try periods, after the epoch, until the delays it gave look proved. */
static int check_period(const char *path, const struct record_head *h, struct error *err)
{
	if (h->scope.key_period == 0)
		return 0;
	return error_set(err, EINVAL, "%s: key period %" PRIu64 "; only 0 is allowed", path,
		h->scope.key_period);
}

static int check_head(const struct audit *a, const char *path, const char *suffix,
	const struct record_head *h, struct audit_finding *f, struct error *err)
{
	int r = check_name(path, suffix, h, err);

	if (r == 0)
		r = check_period(path, h, err);
	if (r == 0)
		r = check_time(a, path, h, f, err);
	return r < 0 ? r : check_beacon(a, path, h, f, err);
}

/* beta gives every delay away: no relay may publish it while packets of the epoch are under way. */
static int check_reveal(const char *path, const struct epoch_record *r,
	const struct audit_finding *f, struct error *err)
{
	/* f->end lies at most a day behind a date of the calendar: no overflow */
	if ((uint64_t)time(NULL) >= f->end + r->cap_ns / SECOND)
		return 0;
	return error_set(err, EAGAIN,
		"%s: by this host's clock the packets of epoch %" PRIu64
		" have not left yet: the relay published their delays too early, or the clock is "
		"wrong",
		path, r->head.scope.epoch);
}

static void fill_expected(const struct audit *a, struct record_expect *x)
{
	*x = (struct record_expect){0}; /* beacon and epoch are checked here */
	memcpy(x->network_id, a->directory->network_id, sizeof(x->network_id));
	memcpy(x->node_id, a->node->identity_key, sizeof(x->node_id));
	memcpy(x->vrf_public, a->node->vrf_key, sizeof(x->vrf_public));
}

int audit_epoch(const struct audit *a, const char *path, struct epoch_record *r,
	struct audit_finding *f, uint8_t beta[ECVRF_OUTPUT_SIZE], struct error *err)
{
	struct record_expect x;
	struct error unproved;
	uint8_t *data;
	size_t len;
	int verdict, ret = file_read(path, RECORD_MAX_SIZE, &data, &len, err);

	if (ret < 0)
		return ret;
	fill_expected(a, &x);
	verdict = epoch_record_verify(data, len, &x, r, beta, err);
	free(data);
	if (verdict < 0)
		refuse(a, path, verdict, err);
	if (verdict < 0 && verdict != -ENODATA)
		return verdict;
	unproved = *err;
	ret = check_head(a, path, ".epoch", &r->head, f, err);
	if (ret == 0)
		ret = check_reveal(path, r, f, err);
	if (ret == 0 && verdict < 0)
		*err = unproved;
	return ret < 0 ? ret : verdict;
}

/* lib/vrf's rule for sets comes second: its messages presume a record that is genuine. */
static int check_neighbours(const struct audit *a, const char *path, const uint8_t *data,
	size_t len, struct audit_neighbours *n, struct error *err)
{
	struct neighbour_epoch e = {.directory = a->directory, .seconds = n->seconds};
	const struct neighbour_beacon later = {.any = true};
	uint8_t layer = (uint8_t)neighbour_next_layer(a->directory, a->node->layer);
	uint8_t beta[ECVRF_OUTPUT_SIZE];
	struct record_expect x;
	int r;

	fill_expected(a, &x);
	r = neighbour_record_verify(
		data, len, &x, layer, a->directory->hash, &n->record, beta, err);
	e.epoch = n->record.head.scope.epoch;
	if (r == 0)
		r = neighbour_set_verify(&e, (unsigned)(a->node - a->directory->nodes), &later,
			data, len, &n->set, err);
	return r < 0 ? refuse(a, path, r, err) : 0;
}

int audit_neighbours(const struct audit *a, const char *path, struct audit_neighbours *n,
	struct audit_finding *f, struct error *err)
{
	uint8_t *data;
	size_t len;
	int ret = file_read(path, RECORD_MAX_SIZE, &data, &len, err);

	if (ret < 0)
		return ret;
	ret = check_neighbours(a, path, data, len, n, err);
	free(data);
	return ret < 0 ? ret : check_head(a, path, ".neighbours", &n->record.head, f, err);
}

/* ---- printing */

void audit_print_directory(const struct audit *a)
{
	const struct directory *d = a->directory;
	uint64_t now = (uint64_t)time(NULL);
	char from[KEYTOOL_TIME], until[KEYTOOL_TIME];

	printf("%-12s %s, valid from %s until %s%s\n", "directory",
		keytool_value(a->args, "directory"), keytool_time(from, d->valid_from),
		keytool_time(until, d->valid_until),
		now >= d->valid_until ? " (expired: for the past only)"
		: now < d->valid_from ? " (not valid yet)"
				      : "");
}

static void print_beacon(
	const struct audit *a, const struct record_head *h, const struct audit_finding *f)
{
	keytool_print_hex("beacon", h->scope.beacon, sizeof(h->scope.beacon));
	if (h->beacon_source == BEACON_DIRECTORY)
		printf("%-12s the directory; recomputed, the same\n", "made from");
	else if (h->beacon_source == BEACON_FALLBACK)
		printf("%-12s the directory, because the relay's beacon file gave none; "
		       "recomputed, the same\n",
			"made from");
	else if (f->beacon)
		printf("%-12s the relay's beacon file; the same as round %" PRIu64 " in %s\n",
			"made from", f->beacon->round, keytool_value(a->args, "beacon-file"));
	else
		printf("%-12s the relay's beacon file; NOT checked (--beacon-file compares it)\n",
			"made from");
}

void audit_print_head(const struct audit *a, const char *path, const char *verdict,
	const struct record_head *h, const struct audit_finding *f)
{
	char begin[KEYTOOL_TIME], end[KEYTOOL_TIME];

	printf("\n%s: %s\n", path, verdict);
	printf("%-12s %s, layer %u\n", "node", a->node->name, a->node->layer);
	printf("%-12s %" PRIu64 "\n", "epoch", h->scope.epoch);
	printf("%-12s %s to %s (%" PRIu32 " s)\n", "time", keytool_time(begin, f->begin),
		keytool_time(end, f->end), h->epoch_seconds);
	printf("%-12s %" PRIu64 "\n", "key period", h->scope.key_period);
	printf("%-12s %d (ECVRF-EDWARDS25519-SHA512-%s)\n", "suite", (int)h->suite,
		h->suite == ECVRF_TAI ? "TAI" : "ELL2");
	print_beacon(a, h, f);
}

int audit_all(const struct keytool_args *args,
	int (*one)(const struct audit *a, const char *path, struct error *err))
{
	int proved = 0, unproved = 0, refused = 0;
	struct error err;
	struct audit a;
	int r = audit_open(&a, args, &err);

	if (r == 0)
		audit_print_directory(&a);
	for (int i = 0; r == 0 && i < args->rest_count; i++) {
		int found = one(&a, args->rest[i], &err);

		proved += found == 0;
		unproved += found == -ENODATA;
		refused += found < 0 && found != -ENODATA;
		if (found < 0) {
			fflush(stdout); /* what is said of the records stays in order */
			keytool_fail(args, &err);
		}
	}
	audit_close(&a);
	if (r < 0)
		return keytool_fail(args, &err);
	printf("\n%d record%s: %d proved, %d not proved, %d refused\n", args->rest_count,
		args->rest_count == 1 ? "" : "s", proved, unproved, refused);
	return proved == args->rest_count ? EXIT_OK : EXIT_FAILED;
}
