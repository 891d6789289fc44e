/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void print_help(const struct keytool_command *c)
{
	printf("usage: betanet-keytool %s", c->name);
	for (const struct keytool_option *o = c->options; o->name; o++)
		printf(" %s--%s%s%s%s", o->required ? "" : "[", o->name, o->arg ? " " : "",
			o->arg ? o->arg : "", o->required ? "" : "]");
	printf("%s%s\n\n%s.\n", c->rest ? " " : "", c->rest ? c->rest : "", c->text);
	if (c->more)
		printf("%s\n", c->more);
	printf("\n");
	for (const struct keytool_option *o = c->options; o->name; o++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s %s", o->name, o->arg ? o->arg : "");
		printf("  %-24s %s\n", left, o->text);
	}
	printf("  %-24s %s\n\nExit status: 0 done, 1 failed, 2 wrong usage.\n", "--help",
		"this text");
}

int keytool_usage(const struct keytool_args *a, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "betanet-keytool %s: ", a->command->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see betanet-keytool %s --help\n", a->command->name);
	return EXIT_USAGE;
}

int keytool_fail(const struct keytool_args *a, const struct error *err)
{
	fprintf(stderr, "betanet-keytool %s: %s\n", a->command->name, err->msg);
	return EXIT_FAILED;
}

/* One option at argv[0]; returns how many words it took, or 0 after a message. */
static int take_option(struct keytool_args *a, int argc, char **argv)
{
	const char *name = argv[0] + 2, *equals = strchr(name, '=');
	size_t n = equals ? (size_t)(equals - name) : strlen(name);

	for (unsigned i = 0; a->command->options[i].name; i++) {
		const struct keytool_option *o = &a->command->options[i];

		if (strlen(o->name) != n || memcmp(o->name, name, n) != 0)
			continue;
		if (a->value[i])
			return keytool_usage(a, "--%s is given twice", o->name), 0;
		if (!o->arg && equals)
			return keytool_usage(a, "--%s takes no value", o->name), 0;
		if (o->arg && !equals && argc < 2)
			return keytool_usage(a, "--%s needs a value, %s", o->name, o->arg), 0;
		a->value[i] = !o->arg ? "" : equals ? equals + 1 : argv[1];
		return o->arg && !equals ? 2 : 1;
	}
	return keytool_usage(a, "there is no option --%.*s", (int)n, name), 0;
}

static int check(const struct keytool_args *a)
{
	const struct keytool_command *c = a->command;

	for (unsigned i = 0; c->options[i].name; i++)
		if (c->options[i].required && !a->value[i])
			return keytool_usage(a, "--%s %s is missing: %s", c->options[i].name,
				c->options[i].arg, c->options[i].text);
	if (a->rest_count < c->rest_min)
		return keytool_usage(a, "%s is missing", c->rest);
	if (a->rest_count > c->rest_max)
		return keytool_usage(a, "\"%s\" is one word too many", a->rest[c->rest_max]);
	return -1;
}

int keytool_parse(
	const struct keytool_command *command, int argc, char **argv, struct keytool_args *out)
{
	int kept = 0;

	*out = (struct keytool_args){.command = command, .rest = argv};
	for (int i = 0; i < argc;) {
		int taken = 1;

		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			print_help(command);
			return EXIT_OK;
		}
		if (strcmp(argv[i], "--") == 0) {
			for (i++; i < argc; i++)
				argv[kept++] = argv[i];
			break;
		}
		if (argv[i][0] == '-' && argv[i][1] == '-')
			taken = take_option(out, argc - i, argv + i);
		else if (argv[i][0] == '-' && argv[i][1])
			return keytool_usage(out, "there is no option %s", argv[i]);
		else
			argv[kept++] = argv[i];
		if (taken == 0)
			return EXIT_USAGE;
		i += taken;
	}
	out->rest_count = kept;
	return check(out);
}

const char *keytool_value(const struct keytool_args *a, const char *name)
{
	for (unsigned i = 0; a->command->options[i].name; i++)
		if (strcmp(a->command->options[i].name, name) == 0)
			return a->value[i];
	abort(); /* a name that is not in the command's own table */
}

bool keytool_number(const struct keytool_args *a, const char *name, unsigned long min,
	unsigned long max, unsigned long preset, unsigned long *out)
{
	const char *v = keytool_value(a, name);

	*out = preset;
	if (!v)
		return true;
	*out = strtoul(v, NULL, 10);
	if (v[0] && strlen(v) <= 10 && strspn(v, "0123456789") == strlen(v) && *out >= min &&
		*out <= max)
		return true;
	keytool_usage(a, "--%s %s: allowed is a number, %lu..%lu", name, v, min, max);
	return false;
}
