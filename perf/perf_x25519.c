/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * X25519 for a burst: every kernel that this CPU has beside libsodium and, where
 * ../shared/prototypes is, beside the prototype, all in turns in one run; then by burst size,
 * part-filled, and the pair for a part of its points. Floors and goals are those of
 * ../shared/design/performance.md.
 */
#include "bench.h"

#include <dlfcn.h>
#include <sodium.h>
#include <string.h>
#include "core/secmem.h"
#include "crypto/cpu.h"
#include "crypto/x25519_mb.h"
#include "crypto/x25519_mb_kernel.h"

enum { MAX = 256, N = 128, MAX_ROWS = 32 };

static uint8_t scalar[MAX][32], point[MAX][32], out[MAX][32], on_twist[MAX];
static const uint8_t *scalar_p[MAX], *point_p[MAX];
static uint8_t *out_p[MAX];

/* The prototype's calls (x25519x4.h, ed51.h); NULL where it is not there. */
struct prototype {
	void (*ladder)(uint8_t *const *q, const uint8_t *const *k, const uint8_t *const *u, int n);
	void *(*pair_new)(void);
	void (*pair_begin)(void *b, uint8_t *twist, const uint8_t *const *u, int n);
	void (*pair_mult)(uint8_t *const *q, const uint8_t *const *k, const void *b, int n);
	void *pair;
};

struct job {
	const struct x25519_kernel *kernel;
	const struct prototype *proto;
	struct x25519_pair *pair;
	const unsigned *index;
	unsigned n;
};

static struct bench rows[MAX_ROWS];
static struct job jobs[MAX_ROWS];
static unsigned count;

static void die(const char *what)
{
	fprintf(stderr, "perf_x25519: %s\n", what);
	exit(1);
}

static struct job *add(const char *name, void (*run)(void *), unsigned times)
{
	if (count == MAX_ROWS)
		die("too many rows");
	jobs[count] = (struct job){.n = times};
	rows[count] = (struct bench){.name = name, .run = run, .arg = &jobs[count], .times = times};
	return &jobs[count++];
}

static void run_kernel(void *arg)
{
	const struct job *j = arg;

	j->kernel->mult(out_p, scalar_p, point_p, j->n);
}

static void run_base(void *arg)
{
	const struct job *j = arg;

	j->kernel->base(out_p, scalar_p, j->n);
}

static void run_public(void *arg)
{
	const struct job *j = arg;

	x25519_mb(out_p, scalar_p, point_p, j->n);
}

static void run_pair_begin(void *arg)
{
	const struct job *j = arg;

	x25519_pair_begin(j->pair, point_p, N, on_twist);
}

static void run_pair_mult(void *arg)
{
	const struct job *j = arg;

	x25519_pair_mult(j->pair, out_p, scalar_p, j->index, j->n);
}

static void run_proto(void *arg)
{
	const struct job *j = arg;

	j->proto->ladder(out_p, scalar_p, point_p, (int)j->n);
}

static void run_proto_pair(void *arg)
{
	const struct job *j = arg;

	j->proto->pair_begin(j->proto->pair, on_twist, point_p, (int)j->n);
	j->proto->pair_mult(out_p, scalar_p, j->proto->pair, (int)j->n);
	j->proto->pair_mult(out_p, scalar_p, j->proto->pair, (int)j->n);
}

/* --- the prototype --- */

static int load_symbol(void *so, const char *name, void *to)
{
	void *at = dlsym(so, name);

	memcpy(to, &at, sizeof(at));
	return at != NULL;
}

static int prototype_load(struct prototype *p, const char *path)
{
	void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!so || !load_symbol(so, "x25519_fp51_batch", &p->ladder) ||
		!load_symbol(so, "ed_new", &p->pair_new) ||
		!load_symbol(so, "ed_prepare", &p->pair_begin) ||
		!load_symbol(so, "ed_mul", &p->pair_mult))
		return 0;
	p->pair = p->pair_new();
	return p->pair != NULL;
}

/* --- tables --- */

static const char *verdict(double value, double floor, double goal, int less_is_better)
{
	if (less_is_better ? value <= goal : value >= goal)
		return "goal reached";
	return (less_is_better ? value <= floor : value >= floor) ? "floor reached" : "BELOW FLOOR";
}

/* Names have commas; labels must not. */
static void result_row(const struct bench *b)
{
	char name[48];

	snprintf(name, sizeof(name), "%s", b->name);
	for (char *c = name; *c; c++)
		*c = *c == ',' || *c == '=' ? ';' : *c;
	bench_result(b, "x25519.burst", "row=%s", name);
}

static void table_burst(enum x25519_kernel_id best)
{
	struct prototype c = {0}, s = {0};
	struct bench *sodium = &rows[count], *ladder[X25519_KERNELS] = {0},
		     *begin[X25519_KERNELS] = {0}, *mult[X25519_KERNELS] = {0}, *proto[2] = {0},
		     *proto_pair[2] = {0};
	const struct x25519_kernel *const kernel[] = {
		&x25519_kernel_scalar, &x25519_kernel_avx2, &x25519_kernel_avx512};
	static char names[MAX_ROWS][48];
	/* prototype.sh says why when it fails */
	int have = system("perf/prototype.sh build/perf/prototype") == 0 &&
		   prototype_load(&c, "build/perf/prototype/curve_c.so") &&
		   prototype_load(&s, "build/perf/prototype/curve_asm.so");

	add("libsodium crypto_scalarmult", run_kernel, 32)->kernel = kernel[0];
	add("libsodium crypto_scalarmult_base", run_base, 32)->kernel = kernel[0];
	for (int id = X25519_AVX2_FMA; id <= (int)best; id++) {
		struct job *j;

		if (x25519_mb_select((enum x25519_kernel_id)id) < 0)
			continue;
		ladder[id] = &rows[count];
		snprintf(names[count], sizeof(names[0]), "%s ladder", kernel[id]->name);
		add(names[count], run_kernel, N)->kernel = kernel[id];
		snprintf(names[count], sizeof(names[0]), "%s base point", kernel[id]->name);
		add(names[count], run_base, N)->kernel = kernel[id];
		begin[id] = &rows[count];
		snprintf(names[count], sizeof(names[0]), "%s pair, begin", kernel[id]->name);
		j = add(names[count], run_pair_begin, N);
		j->pair = x25519_pair_create(N);
		if (!j->pair)
			die("no locked memory for a pair (raise ulimit -l)");
		x25519_pair_begin(j->pair, point_p, N, on_twist);
		mult[id] = &rows[count];
		snprintf(names[count], sizeof(names[0]), "%s pair, one mult", kernel[id]->name);
		add(names[count], run_pair_mult, N)->pair = j->pair;
	}
	if (have) {
		proto[0] = &rows[count];
		add("prototype ladder, C (-march=native)", run_proto, N)->proto = &c;
		proto[1] = &rows[count];
		add("prototype ladder, assembly", run_proto, N)->proto = &s;
		proto_pair[0] = &rows[count];
		add("prototype pair, both mults, C", run_proto_pair, N)->proto = &c;
		proto_pair[1] = &rows[count];
		add("prototype pair, both mults, assembly", run_proto_pair, N)->proto = &s;
	}
	bench_run(rows, count);
	printf("burst of %d, each figure for one point\n%-40s %9s %9s  %s\n", N, "", "ns", "cycles",
		"against libsodium");
	for (unsigned i = 0; i < count; i++) {
		printf("%-40s %9.0f %9.0f  %.2fx\n", rows[i].name, bench_ns(&rows[i]),
			bench_cycles(&rows[i]), bench_ns(sodium) / bench_ns(&rows[i]));
		result_row(&rows[i]);
	}
	putchar('\n');
	for (int id = X25519_AVX2_FMA; id < X25519_KERNELS; id++) {
		double speed, ratio;
		char labels[64];

		if (!ladder[id])
			continue;
		speed = bench_ns(sodium) / bench_ns(ladder[id]);
		ratio = (bench_ns(begin[id]) + 2 * bench_ns(mult[id])) / (2 * bench_ns(ladder[id]));
		snprintf(labels, sizeof(labels), "kernel=%s", kernel[id]->name);
		bench_target(
			"x25519.ladder_against_libsodium", labels, speed, RESULT_HIGHER, 3.0, 3.6);
		bench_target(
			"x25519.pair_against_ladders", labels, ratio, RESULT_LOWER, 0.90, 0.78);
		printf("%-12s ladder against libsodium %6.2fx (floor 3.0, goal 3.6): %s\n",
			kernel[id]->name, speed, verdict(speed, 3.0, 3.6, 0));
		printf("%-12s pair against two ladders %6.3f  (floor 0.90, goal 0.78): %s\n",
			kernel[id]->name, ratio, verdict(ratio, 0.90, 0.78, 1));
		for (int v = 0; have && v < 2; v++)
			printf("%-12s against the prototype in %s: ladder %.2f, pair %.2f of its "
			       "time\n",
				kernel[id]->name, v ? "assembly" : "C",
				bench_ns(ladder[id]) / bench_ns(proto[v]),
				(bench_ns(begin[id]) + 2 * bench_ns(mult[id])) /
					bench_ns(proto_pair[v]));
	}
	if (!have)
		printf("no prototype here: not compared with it\n");
	count = 0;
}

static void table_sizes(enum x25519_kernel_id best)
{
	static const unsigned sizes[] = {1, 2, 3, 4, 8, 16, 32, 64, 128, 256};
	enum { SIZES = sizeof(sizes) / sizeof(*sizes) };

	printf("\nx25519_mb by burst size, one point\n%-12s", "");
	for (unsigned i = 0; i < SIZES; i++)
		printf(" %7u", sizes[i]);
	putchar('\n');
	for (int id = 0; id <= (int)best; id++) {
		if (x25519_mb_select((enum x25519_kernel_id)id) < 0)
			continue;
		for (unsigned i = 0; i < SIZES; i++)
			add("", run_public, sizes[i]);
		bench_run(rows, count);
		printf("%-12s", x25519_mb_kernel_name((enum x25519_kernel_id)id));
		for (unsigned i = 0; i < SIZES; i++) {
			printf(" %7.0f", bench_ns(&rows[i]));
			bench_result(&rows[i], "x25519.by_size", "kernel=%s,size=%u",
				x25519_mb_kernel_name((enum x25519_kernel_id)id), sizes[i]);
		}
		printf("  ns\n%-12s", "");
		for (unsigned i = 0; i < SIZES; i++)
			printf(" %7.0f", bench_cycles(&rows[i]));
		printf("  cycles\n");
		count = 0;
	}
}

/* Which is cheaper for the last, part-filled group: the vector kernel or libsodium (min_fill)? */
static void table_fill(enum x25519_kernel_id best)
{
	const struct x25519_kernel *const kernel[] = {
		&x25519_kernel_scalar, &x25519_kernel_avx2, &x25519_kernel_avx512};

	printf("\npart-filled lanes alone, whole call, ns\n%-12s", "points");
	for (unsigned n = 1; n <= 8; n++)
		printf(" %7u", n);
	putchar('\n');
	for (int id = 0; id <= (int)best; id++) {
		if (x25519_mb_select((enum x25519_kernel_id)id) < 0)
			continue;
		for (unsigned n = 1; n <= 8; n++)
			add("", run_kernel, n)->kernel = kernel[id];
		bench_run(rows, count);
		printf("%-12s", kernel[id]->name);
		for (unsigned n = 1; n <= 8; n++)
			printf(" %7.0f", bench_ns(&rows[n - 1]) * n);
		printf("  in use from %u\n", kernel[id]->min_fill);
		count = 0;
	}
}

/* What it costs to pack the survivors of a burst into full lanes: every second, every fourth point.
 */
static void table_survivors(enum x25519_kernel_id best)
{
	static unsigned half[N / 2], quarter[N / 4];
	struct x25519_pair *pair;

	for (unsigned i = 0; i < N / 2; i++)
		half[i] = 2 * i;
	for (unsigned i = 0; i < N / 4; i++)
		quarter[i] = 4 * i + i % 4;
	printf("\npair mult for survivors of a burst of %d, for one survivor, ns\n", N);
	for (int id = X25519_AVX2_FMA; id <= (int)best; id++) {
		if (x25519_mb_select((enum x25519_kernel_id)id) < 0)
			continue;
		pair = x25519_pair_create(N);
		if (!pair)
			die("no locked memory for a pair");
		x25519_pair_begin(pair, point_p, N, on_twist);
		add("", run_pair_mult, N)->pair = pair;
		*add("", run_pair_mult, N / 2) =
			(struct job){.pair = pair, .index = half, .n = N / 2};
		*add("", run_pair_mult, N / 4) =
			(struct job){.pair = pair, .index = quarter, .n = N / 4};
		bench_run(rows, count);
		printf("%-12s all %.0f, every second %.0f, every fourth %.0f\n",
			x25519_mb_kernel_name((enum x25519_kernel_id)id), bench_ns(&rows[0]),
			bench_ns(&rows[1]), bench_ns(&rows[2]));
		x25519_pair_free(pair);
		count = 0;
	}
}

int main(void)
{
	enum x25519_kernel_id best;

	if (sodium_init() < 0)
		die("libsodium could not be started");
	if (x25519_mb_init() != 0)
		printf("NOTE: a kernel differs from libsodium and was refused\n");
	best = x25519_mb_kernel();
	randombytes_buf(scalar, sizeof(scalar));
	randombytes_buf(point, sizeof(point));
	for (unsigned i = 0; i < MAX; i++) {
		crypto_scalarmult_base(point[i], point[i]);
		scalar_p[i] = scalar[i];
		point_p[i] = point[i];
		out_p[i] = out[i];
	}
	printf("chosen at start: %s\n", x25519_mb_kernel_name(best));
	table_burst(best);
	table_sizes(best);
	table_fill(best);
	table_survivors(best);
	return 0;
}
