/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/keys.h"
#include "core/bytes.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint64_t load_uint(const struct key *k, const void *member)
{
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	switch (k->size) {
	case 2:
		memcpy(&v16, member, 2);
		return v16;
	case 4:
		memcpy(&v32, member, 4);
		return v32;
	default:
		memcpy(&v64, member, 8);
		return v64;
	}
}

static void print_string(const char *s, FILE *out)
{
	fputc('"', out);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if (iscntrl((unsigned char)*s))
			fprintf(out, "\\x%02x", (unsigned char)*s);
		else
			fputc(*s, out);
	}
	fputc('"', out);
}

/* As few digits as read back as the same number, with a point so that libconfig sees a
 * float. */
static void print_real(double v, FILE *out)
{
	char text[32];

	for (int digits = 6; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	fprintf(out, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

static void print_ip(unsigned family, const uint8_t *ip, FILE *out)
{
	char text[INET6_ADDRSTRLEN];

	fputs(inet_ntop(family == 4 ? AF_INET : AF_INET6, ip, text, sizeof(text)), out);
}

static void print_cidr(unsigned family, const uint8_t *ip, unsigned bits, FILE *out)
{
	fputc('"', out);
	print_ip(family, ip, out);
	fprintf(out, "/%u\"", bits);
}

static bool print_prefixes(const struct config *c, FILE *out)
{
	if (c->node.type != NODE_EXIT)
		return false;
	fputc('[', out);
	for (unsigned i = 0; i < c->node.exit_allow_count; i++) {
		const struct cidr *p = &c->node.exit_allow[i];

		fputs(i ? ", " : " ", out);
		print_cidr(p->family, p->ip, p->bits, out);
	}
	fputs(" ]", out);
	return true;
}

static bool print_address(const struct config_port *p, unsigned family, FILE *out)
{
	if (family == 4 ? !p->has_ipv4 : !p->has_ipv6)
		return false;
	if (family == 4)
		print_cidr(4, p->ipv4.ip, p->net4.bits, out);
	else
		print_cidr(6, p->ipv6.ip, p->net6.bits, out);
	return true;
}

static bool print_gateway(const struct endpoint *e, FILE *out)
{
	if (e->family == 0)
		return false;
	fputc('"', out);
	print_ip(e->family, e->ip, out);
	fputc('"', out);
	return true;
}

bool key_print(const struct key *k, const void *base, FILE *out)
{
	const void *member = (const char *)base + k->offset;
	uint32_t range[2];
	char hex[65];
	double real;

	switch (k->kind) {
	case KEY_UINT:
		if ((k->flags & KEY_UNSET_0) && load_uint(k, member) == 0)
			return false;
		/* libconfig takes a number without L for one of 32 bits */
		fprintf(out, "%" PRIu64 "%s", load_uint(k, member),
			load_uint(k, member) > INT32_MAX ? "L" : "");
		return true;
	case KEY_REAL:
		memcpy(&real, member, sizeof(real));
		print_real(real, out);
		return true;
	case KEY_BOOL:
		fputs(*(const bool *)member ? "true" : "false", out);
		return true;
	case KEY_TEXT:
		if (*(const char *)member == '\0')
			return false;
		print_string(member, out);
		return true;
	case KEY_NAME:
		print_string(member, out);
		return true;
	case KEY_WORD:
		print_string(k->words[load_uint(k, member)], out);
		return true;
	case KEY_HEX32:
		hex_encode(hex, member, 32);
		print_string(hex, out);
		return true;
	case KEY_PREFIXES:
		return print_prefixes(base, out);
	case KEY_ADDRESS:
		return print_address(base, k->size, out);
	case KEY_GATEWAY:
		return print_gateway(member, out);
	case KEY_RANGE:
		memcpy(range, member, sizeof(range));
		if (range[1])
			fprintf(out, "[ %" PRIu32 ", %" PRIu32 " ]", range[0], range[1]);
		return range[1] != 0;
	}
	return false;
}

static void print_group(const char *section, const void *base, const char *indent, FILE *out)
{
	for (unsigned i = 0; i < config_key_count; i++) {
		const struct key *k = &config_keys[i];
		char *text = NULL;
		size_t len;
		FILE *value;

		if (strcmp(k->section, section) != 0)
			continue;
		value = open_memstream(&text, &len);
		if (value) {
			bool set = key_print(k, base, value);

			fclose(value);
			if (set)
				fprintf(out, "%s%s = %s;\n", indent, k->name, text);
		}
		free(text);
	}
}

void config_print(const struct config *c, FILE *out)
{
	for (unsigned i = 0; i < config_section_count; i++) {
		const struct key_section *s = &config_sections[i];

		fprintf(out, "%s = %s\n", s->name, s->is_list ? "(" : "{");
		if (!s->is_list)
			print_group(s->name, c, "\t", out);
		for (unsigned j = 0; s->is_list && j < c->port_count; j++) {
			fputs("\t{\n", out);
			print_group(s->name, &c->ports[j], "\t\t", out);
			fprintf(out, "\t}%s\n", j + 1 < c->port_count ? "," : "");
		}
		fprintf(out, "%s;\n", s->is_list ? ")" : "}");
	}
}

void config_describe(FILE *out)
{
	char allowed[KEY_ALLOWED_MAX];

	for (unsigned i = 0; i < config_section_count; i++) {
		const struct key_section *s = &config_sections[i];

		fprintf(out, "%s%s = %s   # %s\n", i ? "\n" : "", s->name,
			s->is_list ? "( { ... }, ... )" : "{ ... }", s->text);
		for (unsigned j = 0; j < config_key_count; j++) {
			const struct key *k = &config_keys[j];

			if (strcmp(k->section, s->name) != 0)
				continue;
			fprintf(out, "  %s.%s\n      %s\n      %s; %s%s\n", k->section, k->name,
				k->text, key_allowed(allowed, k),
				k->preset || k->otherwise ? "without it: " : "required",
				k->preset      ? k->preset
				: k->otherwise ? k->otherwise
					       : "");
		}
	}
}
