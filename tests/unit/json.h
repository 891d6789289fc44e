/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_TESTS_JSON_H
#define BETANET_TESTS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/bytes.h"
#include "core/file.h"

/*
 * JSON (RFC 8259) as far as test vectors need it: a file becomes a tree, read-only, freed as a
 * whole. Header-only, because each test is linked from one .c file. Numbers are kept as text, so
 * that a u64 keeps every bit. \u escapes outside ASCII are refused: no vector file has one.
 *
 * A vector file that cannot be read as the test expects is a broken test, not a failed vector:
 * json_load, and the look-ups whose names end in _need, print what is missing and exit(2).
 *
 *	struct json *file = json_load("tests/vectors/x.json");
 *	const struct json *v;
 *	json_each(v, json_need(file, "vectors")) {
 *		uint8_t key[32];
 *		json_hex_exact(v, "key", key, sizeof(key));
 *	}
 *	json_free(file);
 */

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json {
	enum json_type type;
	char *key;  /* member of an object, else NULL */
	char *text; /* JSON_STRING: unescaped; JSON_NUMBER: as written */
	size_t count;
	struct json *first, *last; /* of an array or object, in the file's order */
	struct json *next;
};

struct json_reader {
	const char *path, *start, *at;
	unsigned depth;
};

enum { JSON_MAX_DEPTH = 64, JSON_MAX_FILE = 64 << 20 };

_Noreturn static inline void json_die(const struct json_reader *r, const char *what)
{
	size_t line = 1;

	for (const char *p = r->start; p < r->at; p++)
		line += *p == '\n';
	fprintf(stderr, "%s:%zu: %s\n", r->path, line, what);
	exit(2);
}

static inline void *json_calloc(size_t n)
{
	void *p = calloc(1, n);

	if (!p) {
		fprintf(stderr, "json: not enough memory\n");
		exit(2);
	}
	return p;
}

static inline void json_space(struct json_reader *r)
{
	r->at += strspn(r->at, " \t\r\n");
}

static inline bool json_skip(struct json_reader *r, char c)
{
	json_space(r);
	if (*r->at != c)
		return false;
	r->at++;
	return true;
}

static inline char json_escape(struct json_reader *r)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	uint8_t code[2];
	char hex[5] = {0};
	const char *hit;

	if (*r->at == 'u') {
		strncpy(hex, r->at + 1, 4);
		if (hex_decode(code, 2, hex) < 0 || code[0] || code[1] >= 0x80 || code[1] == 0)
			json_die(r, "\\u escape outside U+0001..U+007F");
		r->at += 5;
		return (char)code[1];
	}
	hit = *r->at ? strchr(from, *r->at) : NULL;
	if (!hit)
		json_die(r, "unknown escape in a string");
	r->at++;
	return to[hit - from];
}

static inline char *json_read_string(struct json_reader *r)
{
	size_t n = 0;
	char *out;

	if (!json_skip(r, '"'))
		json_die(r, "a string was expected");
	for (const char *p = r->at; *p && *p != '"'; p++, n++)
		if (*p == '\\' && p[1])
			p++;
	out = json_calloc(n + 1);
	n = 0;
	while (*r->at != '"') {
		if ((unsigned char)*r->at < 0x20)
			json_die(r, "control character in a string, or no closing quote");
		if (*r->at != '\\') {
			out[n++] = *r->at++;
			continue;
		}
		r->at++;
		out[n++] = json_escape(r);
	}
	r->at++;
	return out;
}

static inline struct json *json_read_value(struct json_reader *r);

static inline void json_read_members(struct json_reader *r, struct json *parent, char close)
{
	if (++r->depth > JSON_MAX_DEPTH)
		json_die(r, "nested too deeply");
	if (!json_skip(r, close)) {
		do {
			char *key = parent->type == JSON_OBJECT ? json_read_string(r) : NULL;
			struct json *v;

			if (key && !json_skip(r, ':'))
				json_die(r, "':' was expected");
			v = json_read_value(r);
			v->key = key;
			if (parent->last)
				parent->last->next = v;
			else
				parent->first = v;
			parent->last = v;
			parent->count++;
		} while (json_skip(r, ','));
		if (!json_skip(r, close))
			json_die(r, "',' or a closing bracket was expected");
	}
	r->depth--;
}

static inline struct json *json_read_value(struct json_reader *r)
{
	static const struct {
		const char *word;
		enum json_type type;
	} words[] = {{"null", JSON_NULL}, {"false", JSON_FALSE}, {"true", JSON_TRUE}};
	struct json *v = json_calloc(sizeof(*v));
	size_t n;

	json_space(r);
	if (*r->at == '"') {
		v->type = JSON_STRING;
		v->text = json_read_string(r);
		return v;
	}
	if (*r->at == '{' || *r->at == '[') {
		bool object = *r->at++ == '{';

		v->type = object ? JSON_OBJECT : JSON_ARRAY;
		json_read_members(r, v, object ? '}' : ']');
		return v;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		n = strlen(words[i].word);
		if (strncmp(r->at, words[i].word, n) == 0) {
			r->at += n;
			v->type = words[i].type;
			return v;
		}
	}
	n = strspn(r->at, "+-.0123456789eE");
	if (n == 0)
		json_die(r, "a value was expected");
	v->type = JSON_NUMBER;
	v->text = json_calloc(n + 1);
	memcpy(v->text, r->at, n);
	r->at += n;
	return v;
}

/* Owned by the caller; exit(2) with file and line when it cannot be read. */
static inline struct json *json_load(const char *path)
{
	struct json_reader r = {.path = path};
	struct error err;
	struct json *v;
	uint8_t *data;
	size_t len;

	if (file_read(path, JSON_MAX_FILE, &data, &len, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		exit(2);
	}
	r.start = r.at = (const char *)data;
	v = json_read_value(&r);
	json_space(&r);
	if (r.at != r.start + len)
		json_die(&r, "something follows the value");
	free(data);
	return v;
}

static inline void json_free(struct json *v)
{
	while (v) {
		struct json *next = v->next;

		json_free(v->first);
		free(v->key);
		free(v->text);
		free(v);
		v = next;
	}
}

/* Every element of an array or member of an object; `v` is a const struct json *. */
#define json_each(v, parent) for ((v) = (parent)->first; (v); (v) = (v)->next)

/* NULL when the object has no such member. */
static inline const struct json *json_get(const struct json *object, const char *key)
{
	const struct json *v;

	json_each(v, object) if (v->key && strcmp(v->key, key) == 0) return v;
	return NULL;
}

static inline const struct json *json_need(const struct json *object, const char *key)
{
	const struct json *v = json_get(object, key);

	if (!v) {
		fprintf(stderr, "vector without \"%s\"\n", key);
		exit(2);
	}
	return v;
}

/* Element i of an array, NULL behind its end. */
static inline const struct json *json_at(const struct json *array, size_t i)
{
	const struct json *v = array->first;

	while (v && i--)
		v = v->next;
	return v;
}

/* The text of a string or of a number; NULL when there is no such member or it is neither. */
static inline const char *json_str(const struct json *object, const char *key)
{
	const struct json *v = json_get(object, key);

	return v ? v->text : NULL;
}

static inline const char *json_str_need(const struct json *object, const char *key)
{
	const char *s = json_str(object, key);

	if (!s) {
		fprintf(stderr, "vector without the text \"%s\"\n", key);
		exit(2);
	}
	return s;
}

static inline bool json_true(const struct json *object, const char *key)
{
	const struct json *v = json_get(object, key);

	return v && v->type == JSON_TRUE;
}

static inline uint64_t json_u64_value(const struct json *v)
{
	char *end = NULL;
	uint64_t n = 0;

	if (v->type == JSON_NUMBER && *v->text != '-')
		n = strtoull(v->text, &end, 10);
	if (!end || *end) {
		fprintf(stderr, "\"%s\" is not a whole number\n", v->text ? v->text : "?");
		exit(2);
	}
	return n;
}

static inline uint64_t json_u64(const struct json *object, const char *key)
{
	return json_u64_value(json_need(object, key));
}

/* Decodes a hex string of at most max bytes and returns its length; exit(2) on anything else. */
static inline size_t json_hex_value(const struct json *v, void *out, size_t max)
{
	size_t n = v->type == JSON_STRING ? strlen(v->text) : 1;

	if (n % 2 || n / 2 > max || hex_decode(out, n / 2, v->text) < 0) {
		fprintf(stderr, "\"%s\": not the hex of at most %zu bytes\n",
			v->key ? v->key : "element", max);
		exit(2);
	}
	return n / 2;
}

static inline size_t json_hex(const struct json *object, const char *key, void *out, size_t max)
{
	return json_hex_value(json_need(object, key), out, max);
}

static inline void json_hex_exact(const struct json *object, const char *key, void *out, size_t n)
{
	if (json_hex(object, key, out, n) != n) {
		fprintf(stderr, "\"%s\": not %zu bytes\n", key, n);
		exit(2);
	}
}

#endif
