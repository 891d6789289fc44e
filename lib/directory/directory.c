/* SPDX-License-Identifier: BSD-3-Clause */
#include "directory/directory.h"
#include "directory/index.h"
#include "core/bytes.h"
#include "core/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the signature covers, and the line that holds it. */

static const char domain[] = "betanet-directory-v1"; /* its NUL is signed, too */
static const char line_start[] = "signature = \"", line_end[] = "\";\n";

enum {
	HEX_SIZE = 2 * crypto_sign_BYTES,
	START_SIZE = sizeof(line_start) - 1,
	LINE_SIZE = START_SIZE + HEX_SIZE + sizeof(line_end) - 1,
};

/* Bytes before the first line that starts with `signature`; len when there is none. */
static size_t signed_part(const uint8_t *data, size_t len)
{
	static const char word[] = "signature";
	size_t at = 0;

	while (at < len) {
		const uint8_t *newline;

		if (len - at >= sizeof(word) - 1 && memcmp(data + at, word, sizeof(word) - 1) == 0)
			return at;
		newline = memchr(data + at, '\n', len - at);
		at = newline ? (size_t)(newline - data) + 1 : len;
	}
	return len;
}

/* The malloc'd bytes that the signature covers: the domain and `len` bytes of text. */
static uint8_t *covered(const uint8_t *text, size_t len, size_t *size)
{
	uint8_t *m = malloc(sizeof(domain) + len);

	if (!m)
		return NULL;
	memcpy(m, domain, sizeof(domain));
	memcpy(m + sizeof(domain), text, len);
	*size = sizeof(domain) + len;
	return m;
}

/* One spelling only: upper-case digits would be a second one. */
static bool read_line(const uint8_t *line, size_t len, uint8_t signature[crypto_sign_BYTES])
{
	char hex[HEX_SIZE + 1], again[HEX_SIZE + 1];

	if (len != LINE_SIZE || memcmp(line, line_start, START_SIZE) != 0 ||
		memcmp(line + START_SIZE + HEX_SIZE, line_end, sizeof(line_end) - 1) != 0)
		return false;
	memcpy(hex, line + START_SIZE, HEX_SIZE);
	hex[HEX_SIZE] = '\0';
	if (hex_decode(signature, crypto_sign_BYTES, hex) < 0)
		return false;
	hex_encode(again, signature, crypto_sign_BYTES);
	return memcmp(hex, again, HEX_SIZE) == 0;
}

/* 0 with the hash of what is covered and its length in the text, -EACCES or -ENOMEM. */
static int verify(const char *name, const uint8_t *data, size_t len, const uint8_t authority[32],
	size_t *text_len, uint8_t hash[32], struct error *err)
{
	uint8_t signature[crypto_sign_BYTES];
	size_t at = signed_part(data, len), size;
	uint8_t *m;
	int bad;

	if (at == len)
		return error_set(err, EACCES,
			"%s: is not signed; the authority signs it: betanet-keytool directory sign",
			name);
	if (!read_line(data + at, len - at, signature))
		return error_set(err, EACCES,
			"%s: the signature line is damaged, or bytes follow it; allowed is "
			"signature = \"<128 digits of 0-9 a-f>\"; and a newline at the end of the "
			"file: fetch it again",
			name);
	m = covered(data, at, &size);
	if (!m)
		return error_set(err, ENOMEM, "%s: not enough memory to check it", name);
	bad = crypto_sign_verify_detached(signature, m, size, authority);
	crypto_generichash(hash, 32, m, size, NULL, 0);
	free(m);
	*text_len = at;
	return bad ? error_set(err, EACCES,
			     "%s: the signature does not hold: altered after it was signed, or "
			     "signed by another authority; fetch it again, or compare the "
			     "authority's key",
			     name)
		   : 0;
}

static const char *date(char out[32], uint64_t t)
{
	time_t at = (time_t)t;
	struct tm tm;

	if (!gmtime_r(&at, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, 32, "%llu", (unsigned long long)t);
	return out;
}

static int check_time(const char *name, const struct directory *d, uint64_t now, struct error *err)
{
	char is[32], limit[32];

	if (now < d->valid_from)
		return error_set(err, ESTALE,
			"%s: not valid before %s, and now is %s; wait, or set the clock", name,
			date(limit, d->valid_from), date(is, now));
	if (now >= d->valid_until)
		return error_set(err, ESTALE,
			"%s: expired at %s, and now is %s; fetch a new one, or set the clock", name,
			date(limit, d->valid_until), date(is, now));
	return 0;
}

int directory_parse(const char *name, const uint8_t *data, size_t len, const uint8_t authority[32],
	uint64_t now, struct directory **out, struct error *err)
{
	struct directory *d = NULL;
	uint8_t hash[32];
	size_t text_len = 0;
	int r;

	*out = NULL;
	if (len > DIRECTORY_MAX_BYTES)
		return error_set(err, EFBIG, "%s: %zu bytes; allowed are at most %d", name, len,
			DIRECTORY_MAX_BYTES);
	/* nothing of a stranger's text reaches the parser */
	r = verify(name, data, len, authority, &text_len, hash, err);
	if (r == 0)
		r = content_parse(name, data, text_len, &d, err);
	if (r < 0)
		return r;
	memcpy(d->hash, hash, sizeof(hash));
	r = now ? check_time(name, d, now, err) : 0;
	if (r < 0)
		directory_free(d);
	else
		*out = d;
	return r;
}

int directory_load(const char *path, const uint8_t authority[32], uint64_t now,
	struct directory **out, struct error *err)
{
	uint8_t *data;
	size_t len;
	int r;

	*out = NULL;
	r = file_read(path, DIRECTORY_MAX_BYTES, &data, &len, err);
	if (r < 0)
		return r;
	r = directory_parse(path, data, len, authority, now, out, err);
	free(data);
	return r;
}

/* ---- signing ---- */

/* `text` ends in a newline and has room for the line behind it. */
static int append_signature(uint8_t *text, size_t len, const uint8_t seed[32])
{
	uint8_t pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES];
	uint8_t signature[crypto_sign_BYTES];
	char hex[HEX_SIZE + 1];
	size_t size;
	uint8_t *m = covered(text, len, &size);

	if (!m)
		return -ENOMEM;
	crypto_sign_seed_keypair(pk, sk, seed);
	crypto_sign_detached(signature, NULL, m, size, sk);
	sodium_memzero(sk, sizeof(sk));
	free(m);
	hex_encode(hex, signature, sizeof(signature));
	memcpy(text + len, line_start, START_SIZE);
	memcpy(text + len + START_SIZE, hex, HEX_SIZE);
	memcpy(text + len + START_SIZE + HEX_SIZE, line_end, sizeof(line_end) - 1);
	return 0;
}

/* Only one signature line, at the end, may be replaced; anything behind it would be lost. */
static int strip_signature(const char *name, const uint8_t *text, size_t *len, struct error *err)
{
	size_t at = signed_part(text, *len);
	const uint8_t *newline = memchr(text + at, '\n', *len - at);

	if (newline && newline + 1 != text + *len)
		return error_set(err, EINVAL,
			"%s: text behind the line that starts with \"signature\"; remove it or "
			"put it before that line",
			name);
	*len = at;
	return 0;
}

int directory_sign_text(const char *name, const uint8_t *text, size_t len, const char *out_path,
	const uint8_t authority_seed[32], int flags, struct error *err)
{
	struct directory *d;
	uint8_t *copy;
	int r = strip_signature(name, text, &len, err);

	if (r == 0 && len + LINE_SIZE + 1 > DIRECTORY_MAX_BYTES)
		r = error_set(err, EFBIG, "%s: %zu bytes; allowed are at most %zu before signing",
			name, len, (size_t)DIRECTORY_MAX_BYTES - LINE_SIZE - 1);
	if (r == 0)
		r = content_parse(name, text, len, &d, err);
	if (r < 0)
		return r;
	directory_free(d);
	copy = malloc(len + 1 + LINE_SIZE);
	if (!copy)
		return error_set(err, ENOMEM, "%s: not enough memory to sign it", name);
	memcpy(copy, text, len);
	if (len == 0 || copy[len - 1] != '\n')
		copy[len++] = '\n';
	r = append_signature(copy, len, authority_seed);
	if (r < 0)
		error_set(err, -r, "%s: not enough memory to sign it", name);
	else
		r = file_write(out_path, 0644, copy, len + LINE_SIZE, flags, err);
	free(copy);
	return r;
}

int directory_sign(const char *in_path, const char *out_path, const uint8_t authority_seed[32],
	int flags, struct error *err)
{
	uint8_t *data;
	size_t len;
	int r = file_read(in_path, DIRECTORY_MAX_BYTES, &data, &len, err);

	if (r < 0)
		return r;
	r = directory_sign_text(in_path, data, len, out_path, authority_seed, flags, err);
	free(data);
	return r;
}

void directory_free(struct directory *d)
{
	if (!d)
		return;
	index_free(d->index);
	free(d->nodes);
	free(d);
}
