/* SPDX-License-Identifier: BSD-3-Clause */
#include "grammar.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <cmdline_parse_string.h>
#include <rte_ethdev.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { WORD, CHOICE, NUMBER, REAL, PORT, REST };

/* A token as librte_cmdline sees it, and what its operations need. */
struct token {
	struct cmdline_token_hdr hdr; /* first */
	enum kind kind;
	unsigned position;
	bool all;                    /* PORT: "all" is allowed */
	double low, high;            /* NUMBER, REAL */
	char text[GRAMMAR_WORD_MAX]; /* CHOICE: "a|b"; others: the name */
};

struct instruction {
	struct token token[GRAMMAR_WORDS];
	unsigned count;
	const struct grammar_row *row;
	cmdline_parse_inst_t *inst; /* with its token pointers behind it */
};

struct grammar {
	void (*dispatch)(const struct grammar_row *row, const struct grammar_args *a);
	struct instruction *instruction;
	unsigned count;
	cmdline_parse_ctx_t *context; /* count + 1 and NULL */
	struct instruction rest;
};

static struct grammar *the_grammar; /* for the callbacks */

/* ---- words ---- */

static size_t word_length(const char *s)
{
	size_t n = 0;

	while (!cmdline_isendoftoken(s[n]))
		n++;
	return n;
}

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* The i-th of "a|b|c" into out; false when there is none. */
static bool choice_at(const char *choices, unsigned i, char *out, size_t size)
{
	for (; i > 0 && choices; i--) {
		choices = strchr(choices, '|');
		if (choices)
			choices++;
	}
	if (!choices)
		return false;
	snprintf(out, size, "%.*s", (int)strcspn(choices, "|"), choices);
	return true;
}

static uint16_t port_at(unsigned i)
{
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++) {
		if (!rte_eth_dev_is_valid_port(id))
			continue;
		if (i-- == 0)
			return id;
	}
	return RTE_MAX_ETHPORTS;
}

static const char *port_list(char *out, size_t size)
{
	size_t at = 0;

	out[0] = 0;
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++) {
		if (!rte_eth_dev_is_valid_port(id))
			continue;
		if (at < size)
			at += (size_t)snprintf(out + at, size - at, "%s%u", at ? ", " : "", id);
	}
	return *out ? out : "none";
}

/* ---- reading one word ---- */

static bool read_number(const struct token *t, const char *word, uint64_t *out)
{
	char *end;

	if (*word < '0' || *word > '9')
		return false;
	errno = 0;
	*out = strtoull(word, &end, 10);
	return errno == 0 && *end == 0 && (double)*out >= t->low && (double)*out <= t->high;
}

static bool read_real(const struct token *t, const char *word, double *out)
{
	char *end;

	if ((*word < '0' || *word > '9') && *word != '.')
		return false;
	*out = strtod(word, &end);
	return *end == 0 && isfinite(*out) && *out >= t->low && *out <= t->high;
}

static bool read_port(const struct token *t, const char *word, uint64_t *out)
{
	struct token limits = {.high = RTE_MAX_ETHPORTS - 1};

	if (t->all && strcmp(word, "all") == 0) {
		*out = GRAMMAR_PORT_ALL;
		return true;
	}
	return read_number(&limits, word, out) && rte_eth_dev_is_valid_port((uint16_t)*out);
}

static bool read_choice(const struct token *t, const char *word)
{
	char one[GRAMMAR_WORD_MAX];

	for (unsigned i = 0; choice_at(t->text, i, one, sizeof(one)); i++)
		if (strcmp(one, word) == 0)
			return true;
	return false;
}

static bool read_word(const struct token *t, const char *word, struct grammar_args *a)
{
	switch (t->kind) {
	case CHOICE:
		return read_choice(t, word);
	case NUMBER:
		return read_number(t, word, &a->number[t->position]);
	case REAL:
		return read_real(t, word, &a->real[t->position]);
	case PORT:
		return read_port(t, word, &a->number[t->position]);
	case WORD:
	case REST:
		break;
	}
	return true;
}

/* What stands at a token's place, for people. */
static void describe(const struct token *t, char *out, size_t size)
{
	char ports[128];

	if (t->kind == NUMBER)
		snprintf(out, size, "%s from %.0f to %.0f", t->text, t->low, t->high);
	else if (t->kind == REAL)
		snprintf(out, size, "%s from %g to %g", t->text, t->low, t->high);
	else if (t->kind == PORT)
		snprintf(out, size, "%sport (%s)", t->all ? "all or a " : "",
			port_list(ports, sizeof(ports)));
	else
		snprintf(out, size, t->kind == CHOICE ? "%s" : "a %s", t->text);
}

/* ---- librte_cmdline's operations ---- */

/* `out` is the whole of struct grammar_args: every token has the offset 0. */
static int op_parse(cmdline_parse_token_hdr_t *hdr, const char *text, void *out, unsigned size)
{
	const struct token *t = (const struct token *)(const void *)hdr;
	struct grammar_args scratch, *a = out ? out : &scratch;
	size_t len = word_length(text);
	char word[GRAMMAR_WORD_MAX];

	if (len == 0 || len >= sizeof(word) || (out && size < sizeof(*a)))
		return -1;
	snprintf(word, sizeof(word), "%.*s", (int)len, text);
	if (!read_word(t, word, a))
		return -1;
	if (out)
		memcpy(a->word[t->position], word, len + 1);
	return (int)len;
}

static int op_count(cmdline_parse_token_hdr_t *hdr)
{
	const struct token *t = (const struct token *)(const void *)hdr;
	int n = 1;

	if (t->kind == PORT)
		return rte_eth_dev_count_avail() + t->all;
	if (t->kind != CHOICE)
		return 0;
	for (const char *s = t->text; (s = strchr(s, '|')) != NULL; s++)
		n++;
	return n;
}

static int op_element(cmdline_parse_token_hdr_t *hdr, int i, char *out, unsigned size)
{
	const struct token *t = (const struct token *)(const void *)hdr;

	if (t->kind == CHOICE)
		return choice_at(t->text, (unsigned)i, out, size) ? 0 : -1;
	if (t->all && i-- == 0)
		snprintf(out, size, "all");
	else
		snprintf(out, size, "%u", port_at((unsigned)i));
	return 0;
}

static int op_help(cmdline_parse_token_hdr_t *hdr, char *out, unsigned size)
{
	describe((const struct token *)(const void *)hdr, out, size);
	return 0;
}

static struct cmdline_token_ops token_ops = {op_parse, op_count, op_element, op_help};

/* ---- the row for everything else ---- */

static unsigned match(const struct instruction *in, const char *line, const char **rest)
{
	struct grammar_args a;
	unsigned i;

	for (i = 0; i < in->count; i++) {
		size_t len;
		char word[GRAMMAR_WORD_MAX];

		line = skip_blanks(line);
		len = word_length(line);
		if (len == 0 || len >= sizeof(word))
			break;
		snprintf(word, sizeof(word), "%.*s", (int)len, line);
		if (!read_word(&in->token[i], word, &a))
			break;
		line += len;
	}
	*rest = skip_blanks(line);
	return i;
}

static bool matches(const struct grammar *g, const char *line)
{
	for (unsigned i = 0; i < g->count; i++) {
		const struct instruction *in = &g->instruction[i];
		const char *rest;

		if (match(in, line, &rest) == in->count && word_length(rest) == 0)
			return true;
	}
	return false;
}

/* Completion asks without `out`: then this row is not there. */
static int rest_parse(cmdline_parse_token_hdr_t *hdr, const char *text, void *out, unsigned size)
{
	struct grammar_args *a = out;
	size_t len = strcspn(text, "\r\n");

	(void)hdr;
	if (!out || size < sizeof(*a) || matches(the_grammar, text))
		return -1;
	snprintf(a->line, sizeof(a->line), "%.*s", (int)len, text);
	return (int)len;
}

static int rest_count(cmdline_parse_token_hdr_t *hdr)
{
	(void)hdr;
	return 1;
}

static int rest_element(cmdline_parse_token_hdr_t *hdr, int i, char *out, unsigned size)
{
	(void)hdr, (void)i, (void)out, (void)size;
	return -1;
}

static struct cmdline_token_ops rest_ops = {rest_parse, rest_count, rest_element, op_help};

struct allowed {
	char text[ERROR_MAX];
	size_t at;
};

/* Each once. */
static void allow(struct allowed *a, const char *what)
{
	const char *there = strstr(a->text, what);
	size_t len = strlen(what);

	while (there &&
		((there > a->text && there[-1] != ' ') || (there[len] && there[len] != ',')))
		there = strstr(there + 1, what);
	if (there || a->at >= sizeof(a->text))
		return;
	a->at += (size_t)snprintf(
		a->text + a->at, sizeof(a->text) - a->at, "%s%s", a->at ? ", " : "", what);
}

int grammar_explain(struct grammar *g, const char *line, struct error *err)
{
	struct allowed may = {.at = 0};
	const char *wrong = line;
	unsigned best = 0;

	line = skip_blanks(line);
	for (unsigned i = 0; i < g->count; i++) {
		const char *rest;
		unsigned n = match(&g->instruction[i], line, &rest);

		if (n > best)
			best = n;
	}
	for (unsigned i = 0; i < g->count; i++) {
		const struct instruction *in = &g->instruction[i];
		char what[GRAMMAR_WORD_MAX + 64] = "the end of the line";
		const char *rest;

		if (match(in, line, &rest) != best)
			continue;
		wrong = rest;
		if (best < in->count)
			describe(&in->token[best], what, sizeof(what));
		allow(&may, what);
	}
	if (word_length(wrong) == 0)
		return error_set(err, EINVAL, "\"%.*s\" lacks a word; allowed: %.350s",
			(int)strcspn(line, "#\r\n"), line, may.text);
	return error_set(err, EINVAL, "%s \"%.*s\"; allowed: %.350s",
		best ? "bad argument" : "unknown command",
		(int)(word_length(wrong) < 64 ? word_length(wrong) : 64), wrong, may.text);
}

/* ---- making it from the rows ---- */

static void run_instruction(void *parsed, struct cmdline *cl, void *data)
{
	const struct instruction *in = data;

	(void)cl;
	the_grammar->dispatch(in->row, parsed);
}

static int bad_syntax(const struct grammar_row *row, const char *why, struct error *err)
{
	return error_set(err, EINVAL, "command table: \"%s\": %s", row->syntax, why);
}

/* "<name:low..high>", "<port>", "<port|all>", "<name:>" without its brackets. */
static int make_placeholder(struct token *t, const char *text, size_t len)
{
	char body[GRAMMAR_WORD_MAX], *colon, *dots;

	snprintf(body, sizeof(body), "%.*s", (int)len, text);
	t->all = strcmp(body, "port|all") == 0;
	if (t->all || strcmp(body, "port") == 0) {
		t->kind = PORT;
		return 0;
	}
	colon = strchr(body, ':');
	if (!colon)
		return -EINVAL;
	*colon++ = 0;
	snprintf(t->text, sizeof(t->text), "%s", body);
	t->kind = WORD;
	if (!*colon)
		return 0;
	dots = strstr(colon, "..");
	if (!dots)
		return -EINVAL;
	*dots = 0;
	t->kind = strchr(colon, '.') || strchr(dots + 2, '.') ? REAL : NUMBER;
	t->low = strtod(colon, NULL);
	t->high = strtod(dots + 2, NULL);
	return t->low <= t->high ? 0 : -EINVAL;
}

static int make_token(struct token *t, unsigned position, const char *text, size_t len)
{
	t->hdr.ops = &token_ops;
	t->position = position;
	if (len > 2 && text[0] == '<' && text[len - 1] == '>')
		return make_placeholder(t, text + 1, len - 2);
	t->kind = CHOICE;
	snprintf(t->text, sizeof(t->text), "%.*s", (int)len, text);
	return len < sizeof(t->text) ? 0 : -EINVAL;
}

static int make_inst(struct instruction *in)
{
	size_t size = sizeof(*in->inst) + (in->count + 1) * sizeof(in->inst->tokens[0]);

	in->inst = calloc(1, size);
	if (!in->inst)
		return -ENOMEM;
	in->inst->f = run_instruction;
	in->inst->data = in;
	in->inst->help_str = in->row ? in->row->help : "";
	for (unsigned i = 0; i < in->count; i++)
		in->inst->tokens[i] = &in->token[i].hdr;
	return 0;
}

/* The first `words` words of the row's syntax; brackets of an optional one are taken off. */
static int make_instruction(
	struct instruction *in, const struct grammar_row *row, unsigned words, struct error *err)
{
	const char *s = row->syntax;

	in->row = row;
	for (in->count = 0; in->count < words; in->count++) {
		size_t len = strcspn(s, " ");
		bool optional = len > 2 && s[0] == '[' && s[len - 1] == ']';

		if (make_token(&in->token[in->count], in->count, optional ? s + 1 : s,
			    optional ? len - 2 : len))
			return bad_syntax(row, "a word that cannot be read", err);
		s += len;
		s += strspn(s, " ");
	}
	return make_inst(in) ? error_set(err, ENOMEM, "no memory for the commands") : 0;
}

static int add_row(struct grammar *g, const struct grammar_row *row, struct error *err)
{
	unsigned words = 1;
	int rc;

	for (const char *s = row->syntax; (s = strchr(s, ' ')) != NULL; s++)
		words++;
	if (words > GRAMMAR_WORDS)
		return bad_syntax(row, "too many words", err);
	rc = make_instruction(&g->instruction[g->count++], row, words, err);
	if (!rc && strchr(row->syntax, '['))
		rc = make_instruction(&g->instruction[g->count++], row, words - 1, err);
	return rc;
}

int grammar_create(const struct grammar_row *rows, size_t count,
	void (*dispatch)(const struct grammar_row *row, const struct grammar_args *a),
	struct grammar **out, struct error *err)
{
	struct grammar *g = calloc(1, sizeof(*g));
	int rc = 0;

	if (!g)
		return error_set(err, ENOMEM, "no memory for the commands");
	g->dispatch = dispatch;
	g->instruction = calloc(2 * count, sizeof(*g->instruction));
	g->context = calloc(2 * count + 2, sizeof(*g->context));
	if (!g->instruction || !g->context)
		rc = error_set(err, ENOMEM, "no memory for the commands");
	for (size_t i = 0; !rc && i < count; i++)
		rc = add_row(g, &rows[i], err);
	g->rest.count = 1;
	g->rest.token[0] = (struct token){.hdr = {&rest_ops, 0}, .kind = REST};
	if (!rc && make_inst(&g->rest))
		rc = error_set(err, ENOMEM, "no memory for the commands");
	if (rc) {
		grammar_free(g);
		return rc;
	}
	for (unsigned i = 0; i < g->count; i++)
		g->context[i] = g->instruction[i].inst;
	g->context[g->count] = g->rest.inst;
	the_grammar = g;
	*out = g;
	return 0;
}

void grammar_free(struct grammar *g)
{
	if (!g)
		return;
	for (unsigned i = 0; i < g->count; i++)
		free(g->instruction[i].inst);
	free(g->rest.inst);
	free(g->instruction);
	free(g->context);
	if (the_grammar == g)
		the_grammar = NULL;
	free(g);
}

cmdline_parse_ctx_t *grammar_context(struct grammar *g)
{
	return g->context;
}
