/* SPDX-License-Identifier: BSD-3-Clause */
#include <glob.h>
#include <stdarg.h>
#include <sodium.h>
#include "core/bytes.h"
#include "sphinx/address.h"
#include "sphinx/derive.h"
#include "sphinx/sphinx.h"
#include "json.h"
#include "small_order.h"

/*
 * vectors_sphinx [FILE…]: every hop of every packet is unwrapped, and every packet and reply block
 * is built again from its recorded secrets; all byte for byte (tests/vectors/README.md). One line
 * for each vector that fails, then `N passed, N failed`.
 */
enum { PACKET_MAX = SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MAX };

static struct crypto *crypto;
static char why[256]; /* the first thing wrong with the vector at hand */

__attribute__((format(printf, 1, 2))) static void wrong(const char *fmt, ...)
{
	va_list ap;

	if (*why)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
}

/* `got` must be the bytes of v[key]. */
static void same(const struct json *v, const char *key, const void *got, size_t len, unsigned hop)
{
	static uint8_t want[PACKET_MAX];
	const size_t n = json_hex(v, key, want, sizeof(want));

	if (n != len)
		wrong("hop %u: %s is %zu bytes, expected %zu", hop, key, len, n);
	else if (memcmp(want, got, n) != 0)
		wrong("hop %u: %s differs", hop, key);
}

static void expect(enum sphinx_status got, enum sphinx_status want, unsigned hop)
{
	if (got != want)
		wrong("hop %u: %s, expected %s", hop, sphinx_status_name(got),
			sphinx_status_name(want));
}

static void check_message(
	const struct json *result, const uint8_t *payload, size_t len, unsigned hop)
{
	const uint8_t *message;
	size_t message_len;
	enum sphinx_status s = sphinx_payload_message(payload, len, &message, &message_len);

	if (json_get(result, "plaintext_error")) {
		expect(s, SPHINX_bad_payload, hop);
	} else if (json_get(result, "plaintext")) {
		expect(s, SPHINX_ok, hop);
		if (s == SPHINX_ok)
			same(result, "plaintext", message, message_len, hop);
	}
}

/* The packet after a hop, against the vector's result. */
static void check_result(const struct json *result, const struct sphinx_hop *hop,
	const uint8_t *packet, size_t len, unsigned at)
{
	const char *type = json_str_need(result, "type");

	if (hop->version != json_u64(result, "version"))
		wrong("hop %u: version %u", at, hop->version);
	if (strcmp(type, "forward") == 0) {
		if (hop->flag != SPHINX_FLAG_FORWARD)
			wrong("hop %u: flag %u, expected forward", at, hop->flag);
		same(result, "next_address", hop->address, sizeof(hop->address), at);
		if (hop->delay_ns != json_u64(result, "delay_ns"))
			wrong("hop %u: delay %llu", at, (unsigned long long)hop->delay_ns);
		same(result, "packet_out", packet, len, at);
	} else if (strcmp(type, "final") == 0) {
		if (hop->flag != SPHINX_FLAG_FINAL)
			wrong("hop %u: flag %u, expected final", at, hop->flag);
		same(result, "destination", hop->address, sizeof(hop->address), at);
		same(result, "identifier", hop->identifier, sizeof(hop->identifier), at);
		same(result, "payload", packet + SPHINX_HEADER_SIZE, len - SPHINX_HEADER_SIZE, at);
		check_message(result, packet + SPHINX_HEADER_SIZE, len - SPHINX_HEADER_SIZE, at);
	} else {
		wrong("hop %u: accepted, expected %s", at, type);
	}
}

/* One hop of forward.json or surb.json: first half, its secrets, second half, what comes out. */
static void unwrap_hop(const struct json *hop, unsigned at)
{
	static uint8_t packet[PACKET_MAX], before[PACKET_MAX];
	const size_t len = json_hex(hop, "packet_in", packet, sizeof(packet));
	uint8_t secret[32], key[SPHINX_PAYLOAD_KEY_SIZE];
	const struct json *result = json_need(hop, "result");
	const uint16_t version = (uint16_t)json_u64(result, "version");
	const int refused = sphinx_version_refused(version);
	struct sphinx_secrets secrets;
	enum sphinx_status status;
	struct sphinx_hop out;

	memcpy(before, packet, len);
	json_hex_exact(hop, "private_key", secret, sizeof(secret));
	status = sphinx_unwrap_open(crypto, secret, packet, len, &secrets);
	expect(status, SPHINX_ok, at);
	if (status != SPHINX_ok)
		return;
	if (memcmp(before, packet, len) != 0)
		wrong("hop %u: the first half changed the packet", at);
	same(hop, "shared_secret", secrets.shared, sizeof(secrets.shared), at);
	same(hop, "expanded_secret", secrets.expanded, sizeof(secrets.expanded), at);
	same(hop, "replay_tag", secrets.expanded + SPHINX_OFF_TAG, SPHINX_TAG_SIZE, at);
	if (!refused) {
		sphinx_payload_key(crypto, version, secrets.expanded, key);
		same(hop, "payload_key", key, sizeof(key), at);
	}

	status = sphinx_unwrap_finish(crypto, packet, len, &secrets, &out);
	if (!sodium_is_zero((const uint8_t *)&secrets, sizeof(secrets)))
		wrong("hop %u: secrets not wiped", at);
	expect(status, refused ? SPHINX_unsupported_version : SPHINX_ok, at);
	if (status == SPHINX_ok && !refused)
		check_result(result, &out, packet, len, at);
}

/* The vectors' padding rule: blocks of SHA256(seed ‖ u64be counter). */
static void fill_padding(const uint8_t seed[32], uint8_t *out, size_t n)
{
	uint8_t in[40], block[32];

	memcpy(in, seed, 32);
	for (uint64_t i = 0; i * 32 < n; i++) {
		store_be64(in + 32, i);
		crypto_hash_sha256(block, in, sizeof(in));
		memcpy(out + 32 * i, block, n - 32 * i < 32 ? n - 32 * i : 32);
	}
}

static void load_route(
	const struct json *v, struct sphinx_route *route, struct sphinx_entropy *entropy)
{
	const struct json *hops = json_need(v, "hops"), *delays = json_need(v, "delays_ns"), *hop;
	uint8_t seed[32];

	memset(route, 0, sizeof(*route));
	if (hops->count != json_u64(v, "route_len") || hops->count > SPHINX_MAX_HOPS) {
		fprintf(stderr, "%s: route_len and hops disagree\n", json_str_need(v, "id"));
		exit(2);
	}
	route->version = (uint16_t)json_u64(v, "version");
	json_hex_exact(v, "destination_address", route->destination, sizeof(route->destination));
	json_hex_exact(v, "destination_identifier", route->identifier, sizeof(route->identifier));
	json_each(hop, hops)
	{
		struct sphinx_route_hop *r = &route->hop[route->hops];

		json_hex_exact(hop, "public_key", r->public_key, sizeof(r->public_key));
		json_hex_exact(hop, "own_address", r->address, sizeof(r->address));
		r->delay_ns = json_u64_value(json_at(delays, route->hops));
		route->hops++;
	}
	json_hex_exact(v, "initial_secret", entropy->initial_secret, 32);
	json_hex_exact(v, "final_padding_seed", seed, sizeof(seed));
	fill_padding(seed, entropy->padding, sizeof(entropy->padding));
}

static void unwrap_all(const struct json *v)
{
	const struct json *hop;
	unsigned at = 0;

	json_each(hop, json_need(v, "hops")) unwrap_hop(hop, at++);
}

static void run_forward(const struct json *v)
{
	static uint8_t message[SPHINX_PAYLOAD_MAX], packet[PACKET_MAX];
	const size_t message_len = json_hex(v, "message", message, sizeof(message));
	const size_t payload = json_u64(v, "payload_size");
	struct sphinx_entropy entropy;
	struct sphinx_route route;
	enum sphinx_status status;

	unwrap_all(v);
	load_route(v, &route, &entropy);
	status = sphinx_build(crypto, &route, message, message_len, payload, &entropy, packet);
	if (sphinx_version_refused(route.version)) {
		expect(status, SPHINX_unsupported_version, 0);
		return;
	}
	expect(status, SPHINX_ok, 0);
	if (status == SPHINX_ok)
		same(json_at(json_need(v, "hops"), 0), "packet_in", packet,
			SPHINX_HEADER_SIZE + payload, 0);
}

/* What the maker of a 260 block gets out of the last hop's payload, which is noise to others. */
static void recover(const struct json *v, const uint8_t *recovery, size_t recovery_len)
{
	static uint8_t packet[PACKET_MAX];
	const struct json *hops = json_need(v, "hops"), *last = json_at(hops, hops->count - 1);
	const size_t len = json_hex(last, "packet_in", packet, sizeof(packet));
	uint8_t secret[32], *payload = packet + SPHINX_HEADER_SIZE;
	const uint8_t *message;
	enum sphinx_status status;
	struct sphinx_hop hop;
	size_t message_len;

	json_hex_exact(last, "private_key", secret, sizeof(secret));
	status = sphinx_unwrap(crypto, secret, packet, len, &hop);
	expect(status, SPHINX_ok, (unsigned)hops->count - 1);
	status = surb_recover(crypto, recovery, recovery_len, payload, len - SPHINX_HEADER_SIZE,
		&message, &message_len);
	expect(status, SPHINX_ok, (unsigned)hops->count - 1);
	if (status != SPHINX_ok)
		return;
	same(v, "message", message, message_len, (unsigned)hops->count - 1);
}

static void run_surb(const struct json *v)
{
	static uint8_t message[SPHINX_PAYLOAD_MAX], packet[PACKET_MAX];
	uint8_t surb[SURB_MAX_SIZE], recovery[SURB_RECOVERY_MAX_SIZE], first[SPHINX_ADDRESS_SIZE];
	const size_t message_len = json_hex(v, "message", message, sizeof(message));
	const size_t payload = json_u64(v, "payload_size");
	struct sphinx_entropy entropy;
	size_t surb_len, recovery_len;
	struct sphinx_route route;
	enum sphinx_status status;

	unwrap_all(v);
	load_route(v, &route, &entropy);
	json_hex_exact(v, "first_hop_address", first, sizeof(first));
	status = surb_create(
		crypto, &route, first, &entropy, surb, &surb_len, recovery, &recovery_len);
	expect(status, SPHINX_ok, 0);
	if (status != SPHINX_ok)
		return;
	same(v, "surb_bytes", surb, surb_len, 0);
	memset(first, 0, sizeof(first));
	status = surb_use(crypto, route.version, surb, surb_len, message, message_len, payload,
		packet, first);
	expect(status, SPHINX_ok, 0);
	if (status != SPHINX_ok)
		return;
	same(v, "first_hop_address", first, sizeof(first), 0);
	same(json_at(json_need(v, "hops"), 0), "packet_in", packet, SPHINX_HEADER_SIZE + payload,
		0);
	if (route.version == SPHINX_V260) {
		same(v, "recovery_bytes", recovery, recovery_len, 0);
		recover(v, recovery, recovery_len);
	} else if (recovery_len != 0) {
		wrong("a recovery record for version %u", route.version);
	}
}

/* What the crate's verdict on a one-node case means here. */
static enum sphinx_status single_expected(
	const uint8_t *packet, size_t len, const struct json *result)
{
	static const struct {
		const char *kind, *message;
		enum sphinx_status status;
	} kinds[] = {
		{"InvalidPacket", "", SPHINX_bad_length},
		{"InvalidPayload", "", SPHINX_bad_length},
		{"InvalidHeader", "integrity MAC", SPHINX_bad_mac},
		{"InvalidRouting", "unknown routing flag", SPHINX_bad_routing_flag},
	};

	if (len >= SPHINX_HEADER_SIZE + SPHINX_PAYLOAD_MIN && is_small_order(packet))
		return SPHINX_bad_point;
	if (strcmp(json_str_need(result, "type"), "error") != 0)
		return sphinx_version_refused((uint16_t)json_u64(result, "version"))
			       ? SPHINX_unsupported_version
			       : SPHINX_ok;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(json_str_need(result, "kind"), kinds[i].kind) == 0 &&
			strstr(json_str_need(result, "message"), kinds[i].message))
			return kinds[i].status;
	wrong("an error that this test does not know: %s", json_str_need(result, "message"));
	return SPHINX_ok;
}

static void run_single(const struct json *v)
{
	static uint8_t packet[PACKET_MAX];
	const size_t len = json_hex(v, "packet_in", packet, sizeof(packet));
	const struct json *result = json_need(v, "result");
	struct endpoint next;
	struct sphinx_hop hop;
	enum sphinx_status want = single_expected(packet, len, result), got;
	uint8_t secret[32];

	json_hex_exact(v, "private_key", secret, sizeof(secret));
	got = sphinx_unwrap(crypto, secret, packet, len, &hop);
	expect(got, want, 0);
	if (got != SPHINX_ok || want != SPHINX_ok)
		return;
	check_result(result, &hop, packet, len, 0);
	if (strcmp(json_str_need(v, "id"), "crafted-bad-ip-version") == 0)
		expect(address_decode(hop.address, &next), SPHINX_bad_address, 0);
	else if (hop.flag == SPHINX_FLAG_FORWARD)
		expect(address_decode(hop.address, &next), SPHINX_ok, 0);
}

static void run_file(const char *path, unsigned *passed, unsigned *failed)
{
	static const struct {
		const char *kind;
		void (*run)(const struct json *v);
	} kinds[] = {{"forward", run_forward}, {"surb", run_surb}, {"surb_single_seed", run_surb},
		{"single", run_single}};
	struct json *file = json_load(path);
	const struct json *v;

	json_each(v, json_need(file, "vectors"))
	{
		void (*run)(const struct json *) = NULL;

		*why = '\0';
		for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
			if (strcmp(json_str_need(v, "kind"), kinds[i].kind) == 0)
				run = kinds[i].run;
		if (run)
			run(v);
		else
			wrong("kind \"%s\" is unknown", json_str_need(v, "kind"));
		*(*why ? failed : passed) += 1;
		if (*why)
			printf("%s: %s: %s\n", path, json_str_need(v, "id"), why);
	}
	json_free(file);
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;
	struct error err = {"out of locked memory"};
	glob_t found = {0};

	if (crypto_init(0, &err) < 0 || !(crypto = crypto_create())) {
		fprintf(stderr, "crypto: %s\n", err.msg);
		return 2;
	}
	if (argc < 2 && glob("tests/vectors/sphinx/*.json", 0, NULL, &found) != 0) {
		fprintf(stderr,
			"no tests/vectors/sphinx/*.json here: run it from the project's root\n");
		return 2;
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		run_file(found.gl_pathv[i], &passed, &failed);
	for (int i = 1; i < argc; i++)
		run_file(argv[i], &passed, &failed);
	globfree(&found);
	crypto_free(crypto);
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0 || passed == 0;
}
